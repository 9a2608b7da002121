/** Kubernetes' own reading of manifests (test/peers/yaml, in Go), to compare with. */
import { join } from 'node:path';
import { Glob } from 'bun';
import { buildOnce, contentHash } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const SOURCES = join(import.meta.dir, '../peers/yaml');
const BUILD_TIMEOUT_MS = 900_000;

export interface YamlQuestion {
  readonly text: string;
  /** What was read of it, a JSON text for each document; null when it was refused. */
  readonly json: readonly string[] | null;
}

export interface YamlAnswer {
  readonly objects: number;
  /** Why Kubernetes refuses it. */
  readonly error?: string;
  /** How what was read differs from what Kubernetes reads. */
  readonly differs?: string;
}

/** Builds the peer once for each state of its sources; the first build needs the Go module proxy. */
async function buildYamlPeer(): Promise<string> {
  const names = [...new Glob('*.{go,mod,sum}').scanSync(SOURCES)].sort();
  const texts = await Promise.all(names.map((name) => Bun.file(join(SOURCES, name)).text()));
  const directory = await buildOnce(
    join('yaml-peer', contentHash([...names, ...texts, process.arch])),
    async (output) => {
      await runCommand(['go', 'build', '-trimpath', '-o', join(output, 'yaml-peer'), '.'], {
        cwd: SOURCES,
        timeoutMs: BUILD_TIMEOUT_MS,
      });
    },
  );
  return join(directory, 'yaml-peer');
}

/** All answers, in the order of the questions. */
export async function askYamlPeer(questions: readonly YamlQuestion[]): Promise<YamlAnswer[]> {
  const lines = questions.map(
    ({ text, json }) =>
      `{"text":${JSON.stringify(text)},"json":${json === null ? 'null' : `[${json.join(',')}]`}}\n`,
  );
  const child = Bun.spawn([await buildYamlPeer()], {
    stdin: new Blob(lines),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const answers = (await child.stdout.text()).split('\n').slice(0, -1);
  await child.exited;
  if (answers.length !== questions.length) {
    throw new Error(`The peer gave ${answers.length} answers to ${questions.length} questions`);
  }
  return answers.map((answer) => JSON.parse(answer));
}
