import { loadConfig, type SettingFlagValues } from '../../src/config/load.ts';
import { AgentError } from '../../src/core/errors.ts';
import { placesOf } from '../../src/core/places.ts';
import { type FactDeps, STEP_LIMIT_MS, type Subject } from '../../src/host/facts/fact.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { QUIET_PROBE } from './quiet-probe.ts';

const HOSTNAME = 'node-1';

/**
 * What facts are read with, over a tree of files.
 * @param root where the machine's `/` is
 */
export function factDeps(root: string, special: Partial<FactDeps> = {}): FactDeps {
  return {
    clock: systemClock,
    files: systemFiles(root),
    places: placesOf(),
    exec: {
      run: async ([program]) => {
        if (program === 'timedatectl') {
          return { exitCode: 0, stdout: 'NTP=yes\nNTPSynchronized=yes', stderr: '' };
        }
        throw new AgentError('TOOL_MISSING', `Cannot run "${program}": it is not on this machine`, {
          hint: 'Look',
        });
      },
    },
    http: async (url) => {
      throw Object.assign(new Error(`nothing answers ${url}`), { code: 'ConnectionRefused' });
    },
    network: async () => {
      throw new Error('this machine has no network');
    },
    probe: async () => QUIET_PROBE,
    authorities: async () => [],
    env: {},
    uid: 0,
    hostname: HOSTNAME,
    architecture: 'x64',
    addresses: () => [],
    k3sVersion: async () => undefined,
    builtAt: undefined,
    stepLimitMs: STEP_LIMIT_MS,
    signal: new AbortController().signal,
    subject: subjectOf({}),
    ...special,
  };
}

/** A bare machine that will be a server, with the usual settings, unless told otherwise. */
export function subjectOf(
  special: Partial<Subject> & {
    readonly env?: Readonly<Record<string, string>>;
    readonly flags?: SettingFlagValues;
  },
): Subject {
  const { env = {}, flags = {}, ...rest } = special;
  const file = { fileText: undefined, filePath: '/etc/pipeops-agent/config.yaml' };
  const { config } = loadConfig({ flags, env, hostname: HOSTNAME, ...file });
  return { role: 'bare', k3sRole: 'server', config, ...rest };
}
