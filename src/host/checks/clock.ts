/**
 * This machine's clock beside that of the control plane, or of the server that a worker has joined; of where
 * k3s is fetched from, for a cluster that will have no control plane.
 */
import { controlPlaneReached } from '../facts/control-plane-reached.ts';
import { downloadsReached } from '../facts/downloads-reached.ts';
import type { Facts } from '../facts/fact.ts';
import type { Reached } from '../facts/reached.ts';
import { serverReached } from '../facts/server-reached.ts';
import { subject } from '../facts/subject.ts';
import { type Check, EVERYWHERE, type Finding, type NotChecked } from './check.ts';
import { ENDPOINT_STEPS } from './endpoint-finding.ts';

/** Certificates that are made now are not valid yet for others. */
const REFUSED_MS = 30_000;
const WARNED_MS = 5_000;
/** A Date header has whole seconds, cut off (RFC 9110 section 5.6.7). */
const HALF_SECOND_MS = 500;
/** With a longer answer nothing can be said: its half is what the measure may be wrong by. */
const ROUND_TRIP_MS_MAX = 4_000;

interface Skew {
  /** Ahead of the other one; negative: behind. */
  readonly ms: number;
  readonly host: string;
}

const ABOUT = {
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: EVERYWHERE,
  needs: [controlPlaneReached, serverReached],
} as const;

export const clockRight: Check = {
  ...ABOUT,
  id: 'clock',
  title: 'Clock',
  severity: 'blocks',
  why: 'Certificates and tokens are valid from one time to another: with a wrong clock they are refused, and those that are made here stay wrong for a year.',
  remedy:
    'Set the clock, and let NTP keep it (`timedatectl set-ntp true`, or chrony). Compare: `date -u`. ' +
    'In a virtual machine look at the host as well. `install` and `join` wait up to a minute for NTP, where that is ' +
    'on and has not set the clock yet.',
  run: (facts) => findingAbove(facts, REFUSED_MS, Number.POSITIVE_INFINITY),
};

export const clockExact: Check = {
  ...ABOUT,
  id: 'clock-drift',
  title: 'Clock, to the second',
  severity: 'warns',
  why: 'A clock that is off a little will be off more: times in logs do not fit together, and short-lived tokens fail.',
  remedy: 'Let NTP keep the clock: `timedatectl set-ntp true`, or chrony.',
  run: (facts) => findingAbove(facts, WARNED_MS, REFUSED_MS),
};

/**
 * The certificates of a cluster are made by this clock, also where there is no control plane to compare it with. Caches
 * and stale answers are behind the time, so it is refused only where every place has another one. A mirror may
 * have a wrong clock itself: then it is only told.
 */
export const clockBesideDownloads: Check = {
  ...clockRight,
  needs: [downloadsReached, subject],
  run: async (facts) => {
    const skews = (await facts(downloadsReached)).flatMap((reached) => skewOf(reached) ?? []);
    const [least] = skews.toSorted((a, b) => Math.abs(a.ms) - Math.abs(b.ms));
    const finding = findingOf(least, REFUSED_MS, Number.POSITIVE_INFINITY);
    const isMirror = (await facts(subject)).config.k3s.mirror !== undefined;
    return isMirror && finding !== undefined && 'code' in finding
      ? { ...finding, onlyWarns: true }
      : finding;
  },
};

async function findingAbove(
  facts: Facts,
  overMs: number,
  upToMs: number,
): Promise<Finding | NotChecked | undefined> {
  const other = (await facts(controlPlaneReached)) ?? (await facts(serverReached));
  return findingOf(other && skewOf(other), overMs, upToMs);
}

function findingOf(
  skew: Skew | undefined,
  overMs: number,
  upToMs: number,
): Finding | NotChecked | undefined {
  if (skew === undefined) {
    return { notChecked: 'there is no other clock to compare it with' };
  }
  const offMs = Math.abs(skew.ms);
  if (offMs <= overMs || offMs > upToMs) {
    return undefined;
  }
  const seconds = Math.round(offMs / 1_000);
  return {
    code: 'CHECK_FAILED',
    message: `This clock is ${lasting(seconds)} ${skew.ms > 0 ? 'ahead of' : 'behind'} that of ${skew.host}`,
    hint: 'Set it, and let NTP keep it',
    fix: 'sudo timedatectl set-ntp true',
    details: { seconds: skew.ms > 0 ? seconds : -seconds, compared_with: skew.host },
  };
}

/** By the answer that came soonest: half of its round trip is taken off. */
function skewOf({ endpoint, usual, around }: Reached): Skew | undefined {
  const skews = [...usual, ...around].flatMap(({ walk: { answer } }) => {
    if (answer?.serverTimeMs === undefined) {
      return [];
    }
    const { sentAtMs, receivedAtMs, serverTimeMs } = answer;
    const roundTripMs = receivedAtMs - sentAtMs;
    const ms = (sentAtMs + receivedAtMs) / 2 - (serverTimeMs + HALF_SECOND_MS);
    return roundTripMs >= 0 && roundTripMs <= ROUND_TRIP_MS_MAX ? [{ ms, roundTripMs }] : [];
  });
  const [best] = skews.toSorted((a, b) => a.roundTripMs - b.roundTripMs);
  return best && { ms: best.ms, host: endpoint.url.host };
}

function lasting(seconds: number): string {
  const units = [
    ['days', 86_400],
    ['h', 3_600],
    ['min', 60],
  ] as const;
  const [unit, size] = units.find(([, each]) => seconds >= 2 * each) ?? ['s', 1];
  return `${Math.round(seconds / size)} ${unit}`;
}
