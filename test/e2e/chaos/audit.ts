/** After all troubles: nothing lost, nothing doubled, nothing told to those it does not concern. */
import { expect } from 'bun:test';
import { TOKEN } from '../stand.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Outcome } from './live-through.ts';
import { type Rig, UNIT } from './rig.ts';
import { DEPLOYED, EFFECTS, NAMESPACE, SCALED, SECRET, TOOLS, type Traffic } from './traffic.ts';

const TYPES = ['deploy', 'scale', 'get_resources', 'exec'];
const JOURNAL_LINES_MAX = 200_000;

/** @param daemonEnds how often we killed or restarted the daemon: each may leave one exec unknown */
export async function audit(rig: Rig, traffic: Traffic, daemonEnds: number): Promise<void> {
  const entries = rig.ledger.all();
  everyCommandHasOneResult(entries, traffic);
  await everyProgramRanOnce(rig, entries, daemonEnds);
  await everyDeployHappenedOnce(rig, entries);
  const { protocol_errors: errors } = await rig.agent();
  expect(errors).toEqual([]);
  const journal = await rig.server.journal({ unit: UNIT, lines: JOURNAL_LINES_MAX });
  expect(journal).toContain('registered with the control plane');
  for (const secret of [TOKEN, SECRET, 'eyJhbGci']) {
    expect(journal).not.toContain(secret);
  }
}

function everyCommandHasOneResult(entries: readonly LedgerEntry[], traffic: Traffic): void {
  const known = new Set(entries.map(({ id }) => id));
  const wrong = entries.filter(
    ({ state, result, extraResults }) =>
      extraResults !== 0 || !(state === 'cancelled' || (state === 'done' && result !== null)),
  );
  expect({ wrong, lost: traffic.accepted.filter((id) => !known.has(id)) }).toEqual({
    wrong: [],
    lost: [],
  });
  // Or nothing of that would say much.
  expect(new Set(entries.map(({ type }) => type))).toEqual(new Set(TYPES));
  expect(entries.some(({ result }) => result?.error_code === 'COMMAND_CANCELLED')).toBe(true);
}

/** Those whose outcome is unknown may have run, once. */
async function everyProgramRanOnce(
  rig: Rig,
  entries: readonly LedgerEntry[],
  daemonEnds: number,
): Promise<void> {
  const argv = ['k3s', 'kubectl', '-n', NAMESPACE, 'exec', `deployment/${TOOLS}`, '--'];
  const { stdout } = await rig.server.exec([...argv, 'cat', EFFECTS]);
  const ran = new Map<string, number>();
  for (const line of stdout.trim().split('\n')) {
    ran.set(line, (ran.get(line) ?? 0) + 1);
  }
  const programs = entries.filter(
    ({ type, payload, state }) =>
      type === 'exec' && payload['name'] === TOOLS && state !== 'cancelled',
  );
  const wrong = programs.filter((entry) => {
    const times = ran.get(numberOf(entry)) ?? 0;
    return isUnknown(entry) ? times > 1 : !(entry.result?.success === true && times === 1);
  });
  expect(wrong).toEqual([]);
  expect(programs.filter(isUnknown).length).toBeLessThanOrEqual(daemonEnds);
  expect(ran.size).toBeGreaterThan(0);
}

const isUnknown = ({ result }: LedgerEntry) => result?.error_code === 'COMMAND_OUTCOME_UNKNOWN';

function numberOf({ payload }: LedgerEntry): string {
  return /echo (\d+) /.exec(JSON.stringify(payload['command']))?.[1] ?? '';
}

/** Each deploy asks for something else, so Kubernetes counts them: a repeated one changes nothing. */
async function everyDeployHappenedOnce(rig: Rig, entries: readonly LedgerEntry[]): Promise<void> {
  const done = (type: string, name: string) =>
    entries.filter(
      ({ type: own, payload, state }) =>
        own === type && payload['name'] === name && state === 'done',
    );
  const deploys = done('deploy', DEPLOYED);
  expect(deploys.filter(({ result }) => result?.success !== true)).toEqual([]);
  expect(await generation(rig, DEPLOYED)).toBe(deploys.length);
  const scales = done('scale', SCALED);
  expect(scales.filter(({ result }) => result?.success !== true)).toEqual([]);
  // A scale to what is there already changes nothing.
  expect(await generation(rig, SCALED)).toBeLessThanOrEqual(1 + scales.length);
}

async function generation({ server }: Rig, name: string): Promise<number> {
  const path = '-ojsonpath={.metadata.generation}';
  const argv = ['k3s', 'kubectl', '-n', NAMESPACE, 'get', 'deployment', name, path];
  return Number((await server.exec(argv)).stdout);
}

/** One line per trouble, and p50 and maximum over all. */
export function table(outcomes: readonly Outcome[]): string {
  const seconds = (ms: number | undefined) =>
    (ms === undefined ? '-' : (ms / 1_000).toFixed(1)).padStart(9);
  const lines = outcomes.map(
    (each) =>
      `${each.name.padEnd(34)}${seconds(each.deadPeerMs)}${seconds(each.noticedMs)}` +
      `${seconds(each.sessionMs)}${seconds(each.resultsMs)}` +
      `${each.rss.nowMiB.toFixed(0).padStart(5)}${each.rss.peakMiB.toFixed(0).padStart(6)}`,
  );
  const head = `${'seconds'.padEnd(34)}   silent  noticed  session  results  MiB  peak`;
  const sorted = outcomes.map(({ sessionMs }) => sessionMs).sort((a, b) => a - b);
  const p50 = sorted[Math.floor((sorted.length - 1) / 2)];
  const summary = `session back: p50${seconds(p50)} s, max${seconds(sorted.at(-1))} s`;
  return `${[head, ...lines, summary].join('\n')}\n`;
}
