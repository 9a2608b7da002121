/** Troubles one after the other while commands keep coming, then the reckoning. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../../vm/progress.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import { audit, table } from './audit.ts';
import type { Fault } from './faults.ts';
import { liveThrough, type Outcome } from './live-through.ts';
import type { Rig } from './rig.ts';
import { startTraffic } from './traffic.ts';

const DRAIN_TIMEOUT_MS = 120_000;

export interface Trouble {
  readonly fault: Fault;
  readonly lastsMs: number;
}

/** Prints what each one cost. @throws Error when anything is lost, doubled, or not back in time */
export async function runTroubles(
  rig: Rig,
  progress: Progress,
  troubles: Iterable<Trouble>,
): Promise<void> {
  const outcomes: Outcome[] = [];
  let daemonEnds = 0;
  await rig.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-chaos'), async () => {
    const traffic = startTraffic(rig);
    try {
      for (const { fault, lastsMs } of troubles) {
        daemonEnds += (fault.kills ?? 0) + (fault.restarts ?? 0);
        outcomes.push(await progress.phase(fault.name, () => liveThrough(rig, fault, lastsMs)));
      }
    } finally {
      await traffic.stop();
      process.stderr.write(table(outcomes));
    }
    await waitUntil('all commands have their results', DRAIN_TIMEOUT_MS, async () => {
      return rig.ledger.open().length === 0;
    });
    await progress.phase('audit', () => audit(rig, traffic, daemonEnds));
  });
}
