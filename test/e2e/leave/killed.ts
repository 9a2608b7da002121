/** What is killed in a step that it tells in its progress file, above all `leave`, and the run that ends it. */
import { expect } from 'bun:test';
import type { Machine } from '../../vm/machine.ts';

/** Where a leave may have removed the installed program, another one is at hand. */
export const AGENT = '/root/pipeops-agent';
export const LEAVE = [AGENT, 'leave', '--yes'] as const;
/** Programs that a killed run has started: they end by themselves (`compareStates`). */
export const ORPHANS = /^processes: \+ root getent /;
const PROGRESS = '/run/killed-progress.jsonl';
const OUTPUT = '/run/killed.out';
const LEAVE_TIMEOUT_MS = 300_000;
/** More than any subcommand has. */
const STEPS_MAX = 100;
/** Looked at each 2 ms, by bash alone: many steps take no longer than a program takes to start. */
const KILL_AT = `
progress=$1 step=$2 later=$3
shift 3
rm -f "$progress"
exec 9<> <(:)
"$@" --json --progress-file "$progress" >${OUTPUT} 2>&1 9<&- &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
  begun=0 # The first is of the whole run.
  while read -r line; do
    [[ "$line" == *'"state":"begun"'* ]] && begun=$((begun + 1))
  done 2>/dev/null <"$progress"
  if [ "$begun" -gt "$step" ]; then
    [ "$later" = 0.000 ] || sleep "$later"
    kill -9 "$pid"
    break
  fi
  read -r -t 0.002 -u 9
done
wait "$pid"
`;

export type Argv = readonly [string, ...string[]];

/** Where it was ended: the last step that it told, and whether that was before it had told its end. */
export interface Killed {
  readonly step: string;
  readonly killed: boolean;
}

export interface KillOptions {
  /** Of what is killed. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long after the beginning of the step, ms. Default 0. */
  readonly laterMs?: number;
}

/** @param step which of the steps that are to be done, counted from 1 */
export function killLeave(machine: Machine, step: number, options?: KillOptions): Promise<Killed> {
  return killAt(machine, LEAVE, step, options);
}

/**
 * @param argv of a subcommand that knows `--progress-file`
 * @param step which of the steps that are to be done, counted from 1
 */
export async function killAt(
  machine: Machine,
  argv: readonly string[],
  step: number,
  { env = {}, laterMs = 0 }: KillOptions = {},
): Promise<Killed> {
  const later = (laterMs / 1_000).toFixed(3);
  const script = ['bash', '-c', KILL_AT, 'bash', PROGRESS, String(step), later] as const;
  const { exitCode } = await machine.exec([...script, ...argv], {
    timeoutMs: LEAVE_TIMEOUT_MS,
    check: false,
    env,
  });
  const told = (await machine.readFile(PROGRESS)).trim().split('\n');
  const last = JSON.parse(told.at(-1) ?? '{}');
  await machine.exec(['rm', PROGRESS, OUTPUT]);
  return { step: `${last.step} ${last.state}`, killed: exitCode === 137 };
}

export interface EachStepOptions extends Pick<KillOptions, 'env'> {
  /** The step in which the first run is killed. Default 1. */
  readonly from?: number;
  /** How long after the beginning of a step, ms; asked for each one. */
  readonly laterMs?: () => number;
}

/**
 * Runs it again and again. Each run ends the step in which the one before was killed, and is killed in
 * the next one; the last run comes to its end, whichever that is.
 * @returns the steps in which it was killed
 */
export async function killInEachStep(
  machine: Machine,
  argv: Argv,
  { env = {}, from = 1, laterMs = () => 0 }: EachStepOptions = {},
): Promise<readonly string[]> {
  const steps: string[] = [];
  while (steps.length < STEPS_MAX) {
    const step = steps.length === 0 ? from : 2;
    const ended = await killAt(machine, argv, step, { env, laterMs: laterMs() });
    if (!ended.killed) {
      return steps;
    }
    steps.push(ended.step);
  }
  throw new Error(`'${argv.join(' ')}' does not come to its end: ${steps.join(', ')}`);
}

/** The second run goes on where the first one ended, if anything is left. */
export async function leaveAgain(machine: Machine): Promise<void> {
  const ran = await machine.exec([...LEAVE, '--json'], {
    timeoutMs: LEAVE_TIMEOUT_MS,
    check: false,
  });
  const outcome = JSON.parse(ran.stdout);
  // Killed at its very end, it has left nothing to go on with.
  const isOver = outcome.error?.code === 'NOT_INSTALLED';
  expect(isOver ? { taken_out: true } : outcome).toMatchObject({ taken_out: true });
}
