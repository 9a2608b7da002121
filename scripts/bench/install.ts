/**
 * How long the first hour's lines take on a machine of the tests (root): README's line until the node is
 * Ready and registered, and that of a worker. All downloads come from this host. Steps go to stderr.
 */
import {
  bootTwo,
  installByOneLine,
  joinByOneLine,
  openStand,
  TOKEN_FILE,
} from '../../test/e2e/stand.ts';
import { prepareTestMachines } from '../../test/vm/prepare.ts';
import { showProgress } from '../../test/vm/progress.ts';
import type { BenchCase } from './bench-case.ts';
import { median, round } from './start/numbers.ts';

const RUNS = 5;
const REMOVE_TIMEOUT_MS = 240_000;
const TARGET_MS = { install: 20_000, join: 5_000 } as const;
/** Steps that take less are not told. */
const TOLD_SECONDS = 0.1;

interface Step {
  readonly id: string;
  readonly seconds: number;
}

export async function benchInstall(): Promise<readonly BenchCase[]> {
  await prepareTestMachines(showProgress('bench'));
  await using stand = await openStand('bench');
  const [server, worker] = await bootTwo(stand);
  await stand.equip(server);
  const lines = { install: [] as number[], join: [] as number[] };
  const steps = { install: [] as Step[], join: [] as Step[] };
  const timed = async (line: 'install' | 'join', run: () => Promise<{ stdout: string }>) => {
    const began = performance.now();
    const { stdout } = await run();
    lines[line].push(performance.now() - began);
    steps[line].push(...JSON.parse(stdout).steps);
  };
  for (let run = 0; run < RUNS; run += 1) {
    await timed('install', () =>
      installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--json']),
    );
    const { stdout } = await server.exec(['pipeops-agent', 'token', 'create', '--json']);
    await timed('join', () =>
      joinByOneLine(stand, worker, JSON.parse(stdout).token, { more: '--json' }),
    );
    for (const machine of [worker, server]) {
      const argv = ['pipeops-agent', 'uninstall', '--yes', '--delete-data'];
      await machine.exec(argv, { timeoutMs: REMOVE_TIMEOUT_MS });
    }
  }
  return (['install', 'join'] as const).map((line) => {
    tellSteps(line, steps[line]);
    const ours = median(lines[line]);
    const target = TARGET_MS[line];
    return { case: `${line} by one line`, unit: 'ms', ours, target, met: ours <= target };
  });
}

function tellSteps(line: string, steps: readonly Step[]): void {
  for (const [id, each] of Map.groupBy(steps, (step) => step.id)) {
    const seconds = round(median(each.map((step) => step.seconds)));
    if (seconds >= TOLD_SECONDS) {
      process.stderr.write(`${line}: ${String(seconds).padStart(6)} s ${id}\n`);
    }
  }
}
