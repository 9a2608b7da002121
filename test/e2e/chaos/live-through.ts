/** One trouble from its beginning to full recovery, and how long that took. */
import { expect } from 'bun:test';
import { waitUntil } from '../../vm/wait-until.ts';
import type { Fault } from './faults.ts';
import { type Rig, UNIT } from './rig.ts';

/** After the trouble: until there is a session, and until all that waited has its result. */
const SESSION_BACK_MAX_MS = 60_000;
const RESULTS_MAX_MS = 180_000;
/** Until /ready says what is wrong. */
const NOTICED_MAX_MS = 60_000;
/** A peer that is silent is found in this time, … */
const DEAD_PEER_MAX_MS = 15_000;
/** … which is one more than the agent waits for a peer that nothing big is on its way to … */
const SILENCE_MS = 14_000;
/** … and it waits longer while a big message may still be on its way: the biggest here, at 128 kbit/s. */
const PATIENCE_MAX_MS = 15_000;
/** Of the daemon at any time: well below the MemoryHigh of its unit. */
const PEAK_RSS_MAX_MIB = 192;

export interface Outcome {
  readonly name: string;
  /** From the beginning until the log names the silent peer; where that is what is to be found. */
  readonly deadPeerMs: number | undefined;
  /** From the beginning until /ready says why not; where it must. */
  readonly noticedMs: number | undefined;
  /** From the end of the trouble until the control plane and /ready agree that there is a session. */
  readonly sessionMs: number;
  /** From the end until all that had been accepted until then has its result. */
  readonly resultsMs: number;
  readonly rss: { readonly nowMiB: number; readonly peakMiB: number };
}

/** @param lastsMs how long the trouble lasts */
export async function liveThrough(rig: Rig, fault: Fault, lastsMs: number): Promise<Outcome> {
  await fault.prepare?.(rig);
  const restarts = await restartsOf(rig);
  const end = await fault.begin(rig);
  // It has begun now: on a busy machine, seconds after it was asked for.
  const wallClock = Date.now();
  const began = performance.now();
  const { reason } = fault;
  const noticed =
    reason === undefined
      ? undefined
      : await rig.ready.next(
          `/ready gives a reason like ${reason} during "${fault.name}"`,
          began,
          NOTICED_MAX_MS,
          ({ ready, reasons }) => !ready && reasons.some(({ message }) => reason.test(message)),
        );
  await fault.during?.(rig);
  // How long it lasts is what this is about.
  await Bun.sleep(Math.max(0, began + lastsMs - performance.now()));
  await end();
  const over = performance.now();
  const waiting = rig.ledger.open().map(({ id }) => id);
  const back = await sessionBack(rig, fault, over);
  await waitUntil(`all has its result after "${fault.name}"`, RESULTS_MAX_MS, async () => {
    const open = new Set(rig.ledger.open().map(({ id }) => id));
    return !waiting.some((id) => open.has(id));
  });
  const resultsMs = performance.now() - over;
  const found = fault.findsDeadPeer === true ? await silenceFound(rig, wallClock) : undefined;
  if (found !== undefined) {
    expect(found.patienceMs).toBeLessThanOrEqual(PATIENCE_MAX_MS);
    expect(found.at - wallClock).toBeLessThanOrEqual(DEAD_PEER_MAX_MS + found.patienceMs);
  }
  expect({ fault: fault.name, restarts: await restartsOf(rig) }).toEqual({
    fault: fault.name,
    restarts: restarts + (fault.kills ?? 0),
  });
  const rss = await rssOf(rig);
  expect(rss.peakMiB).toBeLessThanOrEqual(PEAK_RSS_MAX_MIB);
  return {
    name: fault.name,
    deadPeerMs: found === undefined ? undefined : found.at - wallClock,
    noticedMs: noticed === undefined ? undefined : noticed.at - began,
    sessionMs: back - over,
    resultsMs,
    rss,
  };
}

/** @returns when both sides said that there is a session, ms of performance.now() */
async function sessionBack(rig: Rig, fault: Fault, over: number): Promise<number> {
  const what = `the session is back after "${fault.name}"`;
  const { at } = await rig.ready.next(what, over, SESSION_BACK_MAX_MS, ({ ready }) => ready);
  await waitUntil(what, SESSION_BACK_MAX_MS, async () => (await rig.agent()).connected);
  return at;
}

interface SilenceFound {
  /** When the daemon logged that its peer has been silent, ms since 1970. */
  readonly at: number;
  /** How much longer than usual it had waited, since a big message was on its way. */
  readonly patienceMs: number;
}

async function silenceFound({ server }: Rig, since: number): Promise<SilenceFound> {
  const argv = [
    ...['journalctl', '--unit', UNIT, '--output', 'json', '--since', `@${since / 1_000}`],
    ...['--grep', 'has been silent for'],
  ];
  const { stdout } = await server.exec(argv);
  const { __REALTIME_TIMESTAMP: micros, MESSAGE: message } = JSON.parse(
    stdout.split('\n')[0] ?? '',
  );
  const seconds = Number(/silent for (\d+) s/.exec(String(message))?.[1]);
  return { at: Number(micros) / 1_000, patienceMs: seconds * 1_000 - SILENCE_MS };
}

/** How often systemd started the daemon again: by its watchdog, or because it ended. */
async function restartsOf(rig: Rig): Promise<number> {
  return Number(await unitProperty(rig, 'NRestarts'));
}

/** Of the running daemon; the peak since its start. */
async function rssOf(rig: Rig): Promise<Outcome['rss']> {
  const pid = await unitProperty(rig, 'MainPID');
  const status = await rig.server.readFile(`/proc/${pid}/status`);
  const mib = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return { nowMiB: mib('VmRSS'), peakMiB: mib('VmHWM') };
}

async function unitProperty({ server }: Rig, property: string): Promise<string> {
  return (await server.exec(['systemctl', 'show', UNIT, '-P', property])).stdout.trim();
}
