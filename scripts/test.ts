/**
 * The parts of scripts/test.sh. Prints as it goes; the last line counts over all parts:
 * `N passed, N failed, N skipped`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Glob } from 'bun';
import { GO_ENVIRONMENT } from '../test/vm/k3s-build.ts';
import { coverageOfSources } from './coverage.ts';
import { readJunitReport } from './junit-report.ts';

const ROOT = join(import.meta.dir, '..');
const BUN = process.execPath;

/** Of the lines of src; a file that no test loads counts as not covered. */
const COVERAGE_PERCENT_MIN = 85;
const UNIT_TEST_WORKERS = 6;
/** Generous: what hangs is ended, what is slow on a busy machine is not. */
const UNIT_TEST_TIMEOUT_MS = 60_000;
const SESSION_TEST_TIMEOUT_MS = 180_000;
/** Ten million messages, a thousand a second on a slow machine. */
const LONG_FUZZ_TIMEOUT_MS = 4 * 3_600_000;
/** One scenario on real machines may take this long. */
const MACHINE_TEST_TIMEOUT_MS = 1_800_000;

/** Scenarios at a time: each waits for its machines about half of the time. */
const MACHINE_TEST_WORKERS = 2;

/** It takes the time until another server has the session: beside another scenario that is up to 8 s longer. */
const TIMED_SCENARIO = './test/e2e/servers-lost.test.ts';

/** These run on their own: on real machines, or with the compiled executable. */
const OTHER_PARTS = [
  'vm',
  'e2e',
  'k3s',
  'transcripts',
  'release',
  'support',
  'peers',
  'load',
  'long',
];

const PARTS: ReadonlyMap<string, readonly (() => Promise<void>)[]> = new Map([
  ['unit', [unit]],
  ['cli', [cli]],
  ['vm', [vm]],
  ['all', [unit, cli, session, vm]],
  ['long', [everyCase, load, longFuzz, longSoak, longMachines]],
]);
const part = process.argv[2] ?? 'all';
const pieces = PARTS.get(part);
if (pieces === undefined) {
  say(`There is no part "${part}": ${[...PARTS.keys()].join(', ')}`);
  process.exit(2);
}

const counts = { passed: 0, skipped: 0 };
/** What failed, by name. */
const failures: string[] = [];
const scratch = await mkdtemp(join(tmpdir(), 'pipeops-test-run-'));

/** Counts a check as one test. */
function record(name: string, ok: boolean): void {
  if (ok) {
    counts.passed += 1;
  } else {
    failures.push(name);
  }
}

/** A check that counts as one test. */
async function check(
  name: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const began = performance.now();
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdin: 'ignore',
    stdout: 2,
    stderr: 2,
  });
  const ok = (await child.exited) === 0;
  record(name, ok);
  say(`${ok ? 'ok' : 'FAILED'}: ${name} (${seconds(began)} s)`);
}

/** @returns directory of the coverage report */
async function runTests(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const report = join(scratch, `${name}.xml`);
  const coverage = join(scratch, `${name}-coverage`);
  const argv = [
    ...[BUN, 'test', '--isolate', '--reporter=junit'],
    // With timings the slowest files begin first; at random they would not.
    ...(args.some((arg) => arg.startsWith('--timings=')) ? [] : ['--randomize']),
    ...[`--reporter-outfile=${report}`, `--coverage-dir=${coverage}`, ...args],
  ];
  const began = performance.now();
  const child = Bun.spawn(argv, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdin: 'ignore',
    stdout: 2,
    stderr: 2,
  });
  const exitCode = await child.exited;
  const file = Bun.file(report);
  const found = readJunitReport((await file.exists()) ? await file.text() : '');
  counts.passed += found.passed;
  counts.skipped += found.skipped;
  if (exitCode !== 0 && found.failed === 0) {
    // It ended before or outside of its tests.
    failures.push(`${name}: exit code ${exitCode}`);
  }
  failures.push(...found.failures);
  say(`${exitCode === 0 ? 'ok' : 'FAILED'}: ${name} (${seconds(began)} s)`);
  return coverage;
}

async function unit(): Promise<void> {
  await check('types', [BUN, 'x', 'tsc']);
  await check('types of the page', [BUN, 'x', 'tsc', '-p', 'src/page']);
  await check('lint', [BUN, 'x', 'biome', 'check', '--error-on-warnings', '.']);
  await check('layers', [BUN, 'scripts/check-layers.ts']);
  await check('waits of tests', [BUN, 'scripts/check-tests.ts']);
  const folders: string[] = [];
  for await (const folder of new Glob('test/*').scan({ cwd: ROOT, onlyFiles: false })) {
    if (!OTHER_PARTS.includes(folder.slice('test/'.length))) {
      folders.push(`./${folder}/`);
    }
  }
  const report = await runTests('unit', [
    '--coverage',
    '--coverage-reporter=lcov',
    // More than processors: most of these wait for processes and sockets.
    `--parallel=${UNIT_TEST_WORKERS}`,
    `--timeout=${UNIT_TEST_TIMEOUT_MS}`,
    ...folders.sort(),
    './test/support/',
  ]);
  const { percent, worst } = await coverageOfSources(ROOT, join(report, 'lcov.info'));
  const enough = percent >= COVERAGE_PERCENT_MIN;
  record('coverage', enough);
  say(`${enough ? 'ok' : 'FAILED'}: ${percent.toFixed(1)} % of the lines of src are covered`);
  for (const { path, missed } of worst) {
    say(`  ${String(missed).padStart(4)} lines not covered in ${path}`);
  }
}

async function cli(): Promise<void> {
  await check('build', [BUN, 'scripts/build.ts']);
  await runTests('cli', [`--timeout=${UNIT_TEST_TIMEOUT_MS}`, './test/transcripts/']);
  await runTests('release', [`--timeout=${UNIT_TEST_TIMEOUT_MS}`, './test/release/']);
}

async function vm(): Promise<void> {
  if (!(await preparedMachines())) {
    return;
  }
  // "vet" would go through all of Kubernetes for it.
  const goTest = ['go', 'test', '-C', 'test/k3s', '-vet=off', './...'];
  // As the build is made: with anything else all of Kubernetes would be compiled once more.
  await check('k3s for tests: its own tests', goTest, GO_ENVIRONMENT);
  const timeout = `--timeout=${MACHINE_TEST_TIMEOUT_MS}`;
  const together = [timeout, `--parallel=${MACHINE_TEST_WORKERS}`];
  await runTests('machines', [...together, './test/vm/']);
  const scenarios = [...new Glob('./test/e2e/*.test.ts').scanSync({ cwd: ROOT })];
  const shared = scenarios.filter((path) => path !== TIMED_SCENARIO);
  await runTests('e2e', [...together, '--timings=test/e2e/timings.json', ...shared]);
  await runTests('e2e, by itself', [timeout, TIMED_SCENARIO]);
}

/** Killed at every change and commit, every file: `unit` takes some of them. */
async function everyCase(): Promise<void> {
  const sampledOnes = ['./test/machine/', './test/commands/engine/', './test/kubernetes/api/'];
  const args = [`--timeout=${MACHINE_TEST_TIMEOUT_MS}`, '--parallel=2', ...sampledOnes];
  await runTests('every case', args, { EVERY_CASE: '1', ENGINE_HISTORIES: '10000' });
  if (await preparedMachines()) {
    const scenarios = ['./test/e2e/snapshots.test.ts', './test/e2e/workload-commands.test.ts'];
    const timeout = `--timeout=${MACHINE_TEST_TIMEOUT_MS}`;
    await runTests('every case on machines', [timeout, ...scenarios], { EVERY_CASE: '1' });
  }
}

/**
 * Installations, joins and leaves killed in each step, each trouble for minutes and at random, all that
 * k3s for tests has.
 */
async function longMachines(): Promise<void> {
  if (await preparedMachines()) {
    for (const file of [...new Glob('test/long/*.test.ts').scanSync({ cwd: ROOT })].sort()) {
      // One by one: each takes its machines to their limits, and its time is told.
      await runTests(basename(file, '.test.ts'), [`./${file}`]);
    }
  }
}

/** @returns false where machines cannot run, which is said and counted */
async function preparedMachines(): Promise<boolean> {
  const prerequisites = Bun.spawn([BUN, 'test/vm/prerequisites.ts'], {
    cwd: ROOT,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 2,
  });
  const reason = (await new Response(prerequisites.stdout).text()).trim();
  if ((await prerequisites.exited) !== 0) {
    const required = process.env['CI'] === 'true';
    if (required) {
      record('machines', false);
    } else {
      counts.skipped += 1;
    }
    say(`${required ? 'FAILED' : 'skipped'}: machines: ${reason}`);
    return false;
  }
  await check('build', [BUN, 'scripts/build.ts', '--target', `linux-${process.arch}`]);
  await check('test machines', [BUN, 'test/vm/prepare.ts']);
  return true;
}

/**
 * A hundred thousand mutated messages, mutated answers of REST, a hundred thousand requests to
 * kubectl's door cut and changed, twenty thousand of a control plane, a fleet that comes back, and a hundred thousand requests through
 * the proxy.
 */
async function session(): Promise<void> {
  await runTests('session', [
    `--timeout=${SESSION_TEST_TIMEOUT_MS}`,
    ...['./test/load/protocol-fuzz.test.ts', './test/load/rest-fuzz.test.ts'],
    ...['./test/load/door-fuzz.test.ts', './test/load/session-proxy-fuzz.test.ts'],
    ...['./test/load/reconnect-storm.test.ts', './test/load/proxy-soak.test.ts'],
  ]);
}

async function longSoak(): Promise<void> {
  await check(
    'proxy, a million requests',
    [BUN, 'test', `--timeout=${MACHINE_TEST_TIMEOUT_MS}`, './test/load/proxy-soak.test.ts'],
    { SOAK_SCALE: '10' },
  );
}

/** yamux makes ten million in every run. An answer of REST takes a hundred times as long as a message. */
const LONG_FUZZ = [
  { name: 'protocol', what: 'messages', variable: 'FUZZ_MESSAGES', cases: 10_000_000 },
  { name: 'door', what: 'requests', variable: 'FUZZ_REQUESTS', cases: 10_000_000 },
  { name: 'session-proxy', what: 'requests', variable: 'FUZZ_REQUESTS', cases: 10_000_000 },
  { name: 'rest', what: 'answers', variable: 'FUZZ_ANSWERS', cases: 1_000_000 },
];

async function longFuzz(): Promise<void> {
  for (const { name, what, variable, cases } of LONG_FUZZ) {
    await check(
      `${name} fuzz, ${cases} ${what}`,
      [BUN, 'test', `--timeout=${LONG_FUZZ_TIMEOUT_MS}`, `./test/load/${name}-fuzz.test.ts`],
      { [variable]: String(cases) },
    );
  }
}

/** Too long for every run: big fuzz, storms. */
async function load(): Promise<void> {
  await runTests('load', [`--timeout=${MACHINE_TEST_TIMEOUT_MS}`, './test/load/']);
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

for (const piece of pieces) {
  await piece();
}
await rm(scratch, { recursive: true, force: true });
// Again at the end: of a long run that is what is looked at first.
for (const failure of failures) {
  say(`FAILED: ${failure}`);
}
process.stdout.write(
  `${counts.passed} passed, ${failures.length} failed, ${counts.skipped} skipped\n`,
);
process.exit(failures.length === 0 ? 0 : 1);
