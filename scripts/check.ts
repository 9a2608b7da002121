/**
 * `bun run check`: types, lint, layers, and the tests nearest to what was changed since main, within
 * half a minute. The whole is `scripts/test.sh unit`.
 */
import { join } from 'node:path';
import { Glob } from 'bun';
import { reachingTests } from './reaching-tests.ts';

const ROOT = join(import.meta.dir, '..');
const BUN = process.execPath;
/** Tests further away are begun until so much time has passed since the beginning. */
const BEGIN_TESTS_MS = 18_000;
/** They import the change itself, or what does: they run however long it takes. */
const NEAR = 1;
const TEST_TIMEOUT_MS = 60_000;
/** Test files of one run: between two runs it is seen how late it is. */
const BATCH_MAX = 6;
/** On real machines, with the compiled executable, or long: parts of `scripts/test.sh` of their own. */
const OTHER_PARTS = /^test\/(?:vm|e2e|k3s|transcripts|peers|load|long)\//;

/** @returns standard output @throws Error when it fails */
async function git(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(['git', ...args], { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) {
    throw new Error(`git ${args.join(' ')} failed`);
  }
  return text;
}

/** What differs from main; on main itself, from the last commit but one where nothing is uncommitted. */
async function changedFiles(): Promise<readonly string[]> {
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  const fresh = lines(await git('ls-files', '--others', '--exclude-standard'));
  const since = async (revision: string) =>
    lines(await git('diff', '--name-only', '--diff-filter=d', revision));
  const base = (await git('merge-base', 'HEAD', 'main').catch(() => 'HEAD')).trim();
  const changed = [...(await since(base)), ...fresh];
  return changed.length > 0 ? changed : since('HEAD~1').catch(() => []);
}

/** @returns whether it succeeded; what it printed is shown only when it did not */
async function passes(name: string, argv: readonly string[]): Promise<boolean> {
  const began = performance.now();
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const took = ((performance.now() - began) / 1_000).toFixed(1);
  console.error(`${exitCode === 0 ? 'ok' : 'FAILED'}: ${name} (${took} s)`);
  if (exitCode !== 0) {
    console.error(out + err);
  }
  return exitCode === 0;
}

async function sources() {
  const paths = [...new Glob('{src,test,scripts}/**/*.ts').scanSync({ cwd: ROOT })];
  return Promise.all(
    paths.map(async (path) => ({ path, text: await Bun.file(join(ROOT, path)).text() })),
  );
}

const began = performance.now();
const changed = await changedFiles();
const linted = changed.filter((path) => /\.(?:ts|json)$/.test(path));
const tests = reachingTests(await sources(), changed).filter(({ path }) => !OTHER_PARTS.test(path));
console.error(`${changed.length} files changed; ${tests.length} test files import them`);

const statics = [
  // What it learned the last time is kept: only what changed is looked at again.
  passes('types', [BUN, 'x', 'tsc']),
  ...(linted.length === 0
    ? []
    : [
        passes('lint', [
          ...[BUN, 'x', 'biome', 'check', '--error-on-warnings', '--no-errors-on-unmatched'],
          ...linted,
        ]),
      ]),
  passes('layers', [BUN, 'scripts/check-layers.ts']),
  passes('waits of tests', [BUN, 'scripts/check-tests.ts']),
];

let ok = true;
let next = 0;
while (next < tests.length) {
  const isNear = (tests[next]?.distance ?? 0) <= NEAR;
  if (!isNear && performance.now() - began > BEGIN_TESTS_MS) {
    break;
  }
  const batch = tests.slice(next, next + BATCH_MAX).map(({ path }) => `./${path}`);
  const argv = [BUN, 'test', '--isolate', '--parallel=2', `--timeout=${TEST_TIMEOUT_MS}`, ...batch];
  ok = (await passes(batch.join(' ').replaceAll('./test/', ''), argv)) && ok;
  next += batch.length;
}
ok = (await Promise.all(statics)).every(Boolean) && ok;
if (next < tests.length) {
  console.error(`${tests.length - next} test files further away did not run: scripts/test.sh unit`);
}
console.error(`${ok ? 'ok' : 'FAILED'} in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
process.exit(ok ? 0 : 1);
