/** Kubernetes' own examples of what each level of its Pod Security Standards refuses and lets through. */
import { join } from 'node:path';
import { Glob } from 'bun';
import { runCommand } from '../vm/host-command.ts';

const MODULE = 'k8s.io/pod-security-admission';
const DIRECTORY = join(import.meta.dir, '../peers/pod-security');
const DOWNLOAD_TIMEOUT_MS = 120_000;
/** Of the standards: the one that the rules follow. Later ones refuse less. */
const VERSION = 'v1.34';

export interface PodSecurityFixture {
  /** `baseline/fail/hostports0.yaml` */
  readonly name: string;
  readonly pod: Readonly<Record<string, unknown>>;
  /** Whether the level asked for lets it through. */
  readonly passes: boolean;
}

/** Their own names are no names to Kubernetes, for they have underscores. */
function withName(name: string, pod: PodSecurityFixture['pod']): PodSecurityFixture['pod'] {
  return { ...pod, metadata: { ...(pod['metadata'] as object), name } };
}

async function readYaml(path: string): Promise<PodSecurityFixture['pod']> {
  return Bun.YAML.parse(await Bun.file(path).text()) as PodSecurityFixture['pod'];
}

/** Those of the level; what `baseline` refuses, `restricted` refuses too. */
export async function podSecurityFixtures(
  level: 'baseline' | 'restricted',
): Promise<readonly PodSecurityFixture[]> {
  const download = ['go', 'mod', 'download', '-json', MODULE];
  const { stdout } = await runCommand(download, {
    cwd: DIRECTORY,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  const { Dir } = JSON.parse(stdout) as { readonly Dir: string };
  const folders = [
    ...(level === 'restricted' ? ['baseline/fail'] : []),
    ...[`${level}/fail`, `${level}/pass`],
  ];
  const fixtures = folders.map(async (folder) => {
    const [ofLevel, outcome] = folder.split('/');
    const directory = join(Dir, 'test/testdata', ofLevel ?? '', VERSION, outcome ?? '');
    const files = [...new Glob('*.yaml').scanSync(directory)].sort();
    return await Promise.all(
      files.map(async (file) => ({
        name: `${folder}/${file}`,
        pod: withName(file.replaceAll(/[^a-z0-9]/g, '-'), await readYaml(join(directory, file))),
        passes: outcome === 'pass',
      })),
    );
  });
  return (await Promise.all(fixtures)).flat();
}
