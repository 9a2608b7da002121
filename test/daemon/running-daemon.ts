/** The whole daemon in this process, with the real ports, in a directory of its own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { placesOf } from '../../src/core/places.ts';
import { NO_RELEASE_KEYS } from '../../src/core/release-keys.ts';
import type { DaemonPorts } from '../../src/daemon/common-parts.ts';
import { runDaemon } from '../../src/daemon/compose.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { renderKubeconfig } from '../../src/protocol/files/kubeconfig.ts';
import type { FakeKubernetes } from '../support/fake-kubernetes.ts';

export interface DaemonSetup {
  readonly kubernetes: FakeKubernetes;
  /** What stands in `credentials/`, by file name; there is no such directory when it is empty. */
  readonly credentials: Readonly<Record<string, string>>;
  /** Text of the configuration file. */
  readonly config: string;
  /** In the place of the real ones. */
  readonly ports?: Partial<Pick<DaemonPorts, 'files' | 'http'>>;
}

export interface RunningDaemon {
  /** Its lines so far. */
  readonly log: readonly string[];
  /** The answer of its socket as text. */
  ask(path: string): Promise<string>;
  stop(): Promise<void>;
}

/** @param directory empty; holds state, runtime and configuration */
export async function startDaemon(directory: string, setup: DaemonSetup): Promise<RunningDaemon> {
  if (Object.keys(setup.credentials).length > 0) {
    await mkdir(join(directory, 'credentials'));
  }
  for (const [name, text] of Object.entries(setup.credentials)) {
    await writeFile(join(directory, 'credentials', name), text);
  }
  const { url: server, ca, token } = setup.kubernetes;
  await writeFile(join(directory, 'kubeconfig'), renderKubeconfig('test', { server, ca, token }));
  const configPath = join(directory, 'config.yaml');
  const log: string[] = [];
  const stopping = new AbortController();
  const done = runDaemon(
    {
      clock: systemClock,
      random: systemRandom,
      files: systemFiles('/'),
      places: placesOf(),
      http: systemHttp,
      authorities: async () => [],
      architecture: 'x64',
      releaseKeys: NO_RELEASE_KEYS,
      ...setup.ports,
      env: { STATE_DIRECTORY: directory, RUNTIME_DIRECTORY: directory },
      lookAtMachine: async () => ({ results: [], k3s: undefined }),
      endProcess: (exitCode) => {
        throw new Error(`the process must end: ${exitCode}`);
      },
      write: (line) => void log.push(line),
    },
    loadConfig({
      flags: {},
      env: {},
      fileText: setup.config,
      filePath: configPath,
      hostname: 'node-1',
    }),
    configPath,
    stopping.signal,
  );
  return {
    log,
    ask: async (path) =>
      await (await fetch(`http://agent${path}`, { unix: join(directory, 'agent.sock') })).text(),
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}
