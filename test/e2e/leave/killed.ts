/** `leave` that is killed as soon as it has told so many lines of its progress, and the run that ends it. */
import { expect } from 'bun:test';
import type { Machine } from '../../vm/machine.ts';

/** Where a leave may have removed the installed program, another one is at hand. */
export const AGENT = '/root/pipeops-agent';
const PROGRESS = '/run/leave-progress.jsonl';
const LEAVE_TIMEOUT_MS = 300_000;
/** Looked at each 20 ms: a step takes longer. */
const KILL_AT = `
rm -f "$2"
"$1" leave --yes --json --progress-file "$2" >/run/leave-killed.out 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
  if [ "$(cat "$2" 2>/dev/null | wc -l)" -ge "$3" ]; then kill -9 "$pid"; break; fi
  sleep 0.02
done
wait "$pid"
`;

/** @returns the last step that it told, and whether it was killed before it had told its end */
export async function killLeave(
  machine: Machine,
  lines: number,
): Promise<{ readonly step: string; readonly killed: boolean }> {
  const argv = ['sh', '-c', KILL_AT, 'sh', AGENT, PROGRESS, String(lines)] as const;
  const { exitCode } = await machine.exec([...argv], {
    timeoutMs: LEAVE_TIMEOUT_MS,
    check: false,
  });
  const told = (await machine.readFile(PROGRESS)).trim().split('\n');
  const { step, state } = JSON.parse(told.at(-1) ?? '{}');
  await machine.exec(['rm', PROGRESS, '/run/leave-killed.out']);
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
