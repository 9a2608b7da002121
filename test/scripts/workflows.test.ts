/** The pipelines: what can be said of them without running them. Their commands run in other tests. */
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Glob } from 'bun';
import { load } from 'js-yaml';

const ROOT = join(import.meta.dir, '../..');

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Job {
  readonly steps?: readonly Step[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly environment?: string;
  readonly 'timeout-minutes'?: number;
}

interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Expressions without the dollar sign, which the linter takes for a forgotten template. */
function plain(text: string): string {
  return text.replaceAll('${{', '{{');
}

const texts = new Map<string, string>();
for (const path of [
  ...new Glob('.github/workflows/*.yml').scanSync({ cwd: ROOT, dot: true }),
].sort()) {
  texts.set(path, await Bun.file(join(ROOT, path)).text());
}
const workflows = [...texts].map(([path, text]) => ({ path, workflow: load(text) as Workflow }));
const jobs = workflows.flatMap(({ path, workflow }) =>
  Object.entries(workflow.jobs).map(([name, job]) => ({ name: `${path} ${name}`, job })),
);
const steps = jobs.flatMap(({ job }) => job.steps ?? []);

test('there are pipelines for tests, scans, releases and the night', () => {
  expect([...texts.keys()]).toEqual([
    '.github/workflows/nightly.yml',
    '.github/workflows/release.yml',
    '.github/workflows/scan.yml',
    '.github/workflows/test.yml',
  ]);
});

test('every action is pinned by its commit, with its version beside it', () => {
  const lines = [...texts.values()].flatMap((text) => text.match(/uses: .*/g) ?? []);
  const pinned = /^uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
  const own = /^uses: \.\/\.github\/workflows\/[a-z]+\.yml$/;
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.filter((line) => !(pinned.test(line) || own.test(line)))).toEqual([]);
});

test('a pipeline may read; the jobs that may do more are these', () => {
  expect(workflows.map(({ workflow }) => workflow.permissions)).toEqual(
    workflows.map(() => ({ contents: 'read' })),
  );
  const more = jobs.filter(({ job }) => job.permissions !== undefined);
  expect(more.map(({ name, job }) => [name, job.permissions])).toEqual([
    [
      '.github/workflows/release.yml publish',
      { contents: 'write', 'id-token': 'write', attestations: 'write' },
    ],
    ['.github/workflows/release.yml image', { contents: 'read', packages: 'write' }],
    ['.github/workflows/scan.yml code', { contents: 'read', 'security-events': 'write' }],
  ]);
});

test('secrets are given to the steps of the release alone, which a person lets go on', () => {
  const withSecrets = jobs.flatMap(({ name, job }) =>
    (job.steps ?? []).flatMap(({ env = {} }) =>
      Object.values(env)
        .filter((value) => value.includes('secrets.'))
        .map((value) => ({ name, environment: job.environment, value: plain(value) })),
    ),
  );
  expect(withSecrets).toEqual([
    {
      name: '.github/workflows/release.yml publish',
      environment: 'release',
      value: '{{ secrets.RELEASE_KEY_PEM }}',
    },
  ]);
});

test('every job ends by itself', () => {
  const own = jobs.filter(({ job }) => job.steps !== undefined);
  expect(
    own.filter(({ job }) => job['timeout-minutes'] === undefined).map(({ name }) => name),
  ).toEqual([]);
});

test('every command is one of these, each of which a test here runs', () => {
  const commands = steps.flatMap(({ run }) => (run === undefined ? [] : [plain(run)]));
  expect([...new Set(commands)].sort()).toEqual(
    [
      // test/vm/image.test.ts
      './scripts/run.sh image/main.ts {{ matrix.image }} --out image',
      './scripts/run.sh image/main.ts {{ matrix.image }} --target linux-x64 --out image',
      './scripts/run.sh image/main.ts push --from image --to "ghcr.io/$GITHUB_REPOSITORY_OWNER/pipeops-{{ matrix.image }}:$GITHUB_REF_NAME"',
      // test/release
      './scripts/run.sh release.ts prepare --out release',
      './scripts/run.sh release.ts sign --keys keys --out release',
      './scripts/run.sh release.ts verify --keys keys --dir release',
      // test/scripts/release-pipeline.test.ts
      './scripts/run.sh release/pipeline.ts keys --out keys',
      './scripts/run.sh release/pipeline.ts publish "$GITHUB_REF_NAME" release',
      './scripts/run.sh release/pipeline.ts same release again',
      './scripts/run.sh release/pipeline.ts tag "$GITHUB_REF_NAME"',
      // test/vm/scan.test.ts
      './scripts/run.sh scan.ts {{ matrix.what }}',
      // Not here: the database of Trivy cannot be reached from where the tests run.
      './scripts/run.sh scan.ts image image',
      // A line of the package manager.
      'sudo apt-get install --yes debian-archive-keyring',
      // .ci/run, and by hand with K3S_RELEASE
      'sudo --preserve-env=CI,K3S_RELEASE,PATH ./scripts/test.sh vm',
      'sudo --preserve-env=CI,PATH ./scripts/test.sh {{ matrix.part }}',
      'sudo --preserve-env=CI,PATH ./scripts/test.sh long',
    ].sort(),
  );
});

test('names that others choose reach a shell as variables, never as its text', () => {
  const expressions = steps.flatMap(({ run = '' }) => plain(run).match(/{{.*?}}/g) ?? []);
  expect([...new Set(expressions)].sort()).toEqual([
    '{{ matrix.image }}',
    '{{ matrix.part }}',
    '{{ matrix.what }}',
  ]);
});

test('the scripts in the commands are there', () => {
  const scripts = steps.flatMap(({ run = '' }) => {
    const [, script] = /scripts\/run\.sh (\S+)/.exec(run) ?? [];
    return script === undefined ? [] : [`scripts/${script}`];
  });
  expect(scripts.filter((script) => !existsSync(join(ROOT, script)))).toEqual([]);
});
