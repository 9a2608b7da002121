/** What is killed as soon as it has told so many lines of its progress, above all `leave`, and the run that ends it. */
import { expect } from 'bun:test';
import type { Machine } from '../../vm/machine.ts';

/** Where a leave may have removed the installed program, another one is at hand. */
export const AGENT = '/root/pipeops-agent';
const PROGRESS = '/run/killed-progress.jsonl';
const OUTPUT = '/run/killed.out';
const LEAVE_TIMEOUT_MS = 300_000;
/** Looked at each 20 ms: a step takes longer. */
const KILL_AT = `
progress=$1 lines=$2
shift 2
rm -f "$progress"
"$@" --json --progress-file "$progress" >${OUTPUT} 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
  if [ "$(cat "$progress" 2>/dev/null | wc -l)" -ge "$lines" ]; then kill -9 "$pid"; break; fi
  sleep 0.02
done
wait "$pid"
`;

/** Where it was ended: the last step that it told, and whether that was before it had told its end. */
export interface Killed {
  readonly step: string;
  readonly killed: boolean;
}

export function killLeave(machine: Machine, lines: number): Promise<Killed> {
  return killAt(machine, [AGENT, 'leave', '--yes'], lines);
}

/** @param argv of a subcommand that knows `--progress-file` */
export async function killAt(
  machine: Machine,
  argv: readonly string[],
  lines: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Killed> {
  const script = ['sh', '-c', KILL_AT, 'sh', PROGRESS, String(lines)] as const;
  const { exitCode } = await machine.exec([...script, ...argv], {
    timeoutMs: LEAVE_TIMEOUT_MS,
    check: false,
    env,
  });
  const told = (await machine.readFile(PROGRESS)).trim().split('\n');
  const { step, state } = JSON.parse(told.at(-1) ?? '{}');
  await machine.exec(['rm', PROGRESS, OUTPUT]);
  return { step: `${step} ${state}`, killed: exitCode === 137 };
}

/** The second run goes on where the first one ended, if anything is left. */
export async function leaveAgain(machine: Machine): Promise<void> {
  const ran = await machine.exec([AGENT, 'leave', '--yes', '--json'], {
    timeoutMs: LEAVE_TIMEOUT_MS,
    check: false,
  });
  const outcome = JSON.parse(ran.stdout);
  // Killed at its very end, it has left nothing to go on with.
  const isOver = outcome.error?.code === 'NOT_INSTALLED';
  expect(isOver ? { taken_out: true } : outcome).toMatchObject({ taken_out: true });
}
