/**
 * Which of the servers has the session: the one that holds the Lease (docs/decisions/0034-session-lease.md).
 * A Lease with a duration is free when nobody has changed it for so long, measured here, from when the
 * change was seen: clocks of machines are never compared. Its holder stops before that. A Lease without
 * a duration is that of an only server, which keeps the session while its API is down; nobody else may
 * take that one, until its holder has seen the other servers and given it a duration.
 */
import { toAgentError } from '../../core/errors.ts';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Log } from '../../core/ports.ts';
import { childSignal, withDeadline } from '../../core/waiting.ts';
import { SESSION_LEASE } from '../account/rbac.ts';
import type { KubernetesClient } from '../api/client.ts';
import { isRejectedWith } from '../api/rejection.ts';
import { type Candidate, isSame, type LeaseRecord, readLease, writeLease } from './record.ts';

/** A Lease that nobody has changed for this long is free. */
export const LEASE_DURATION_MS = 14_000;
/**
 * A holder that could not renew for this long has lost it: the rest is for its end. Long enough for etcd to
 * elect another leader when that one's server is lost.
 */
export const RENEW_DEADLINE_MS = 10_000;
/** Time between renewals. */
const RENEW_INTERVAL_MS = 2_000;
/** Time between the looks of those who stand by, and before what failed is tried again. */
const LOOK_INTERVAL_MS = 1_000;
/** An only server looks this often whether there is somebody else. */
const ALONE_LOOK_INTERVAL_MS = 10_000;
/** An only server waits this long for its first look, and begins without it where its API does not answer. */
export const FIRST_LOOK_LIMIT_MS = 4_000;
/** Deadline of one request: it may wait while etcd elects a leader. */
const REQUEST_TIMEOUT_MS = 4_000;
/** For giving it back at the stop. */
const RELEASE_TIMEOUT_MS = 2_000;

/** Whether this server was the only one when it last knew; durable. */
export interface AloneMemory {
  isAlone(): boolean;
  /** @throws AgentError where it cannot be written */
  note(isAlone: boolean): void;
}

export interface ElectionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly client: Pick<KubernetesClient, 'find' | 'replace'>;
  readonly memory: AloneMemory;
  /** Names of the nodes that are servers; undefined while they are not known. */
  readonly servers: () => readonly string[] | undefined;
  /** Why this server must not have the session, where it must not. Asked before it takes the Lease. */
  readonly obstacle: (signal: AbortSignal) => Promise<string | undefined>;
  /** An only server has found at its start that it is none, and stands by. */
  readonly onFoundTaken: () => void;
  /** The Lease is lost. Nothing of what only its holder may do goes on when this returns. */
  readonly onLost: () => void;
}

export interface LeaseStanding {
  readonly isHeld: boolean;
  /** The node that holds it; undefined where nobody does, or it is not known. */
  readonly holder: string | undefined;
  /** Why this server does not take it although it could, or cannot see it. */
  readonly obstacle: string | undefined;
}

export interface Election {
  standing(): LeaseStanding;
  /**
   * Runs the work whenever this server holds the Lease, until the signal aborts.
   * @param work ends soon after its signal aborts; what it throws is thrown
   */
  run(work: (signal: AbortSignal) => Promise<void>, stop: AbortSignal): Promise<void>;
}

interface Engine extends ElectionDeps {
  readonly own: Candidate;
  readonly complain: ReturnType<typeof limitedLog>;
  standing: LeaseStanding;
  /** Another one has the Lease, or may: whatever is noted, this server is not the only one. */
  hasLost: boolean;
}

/** While the Lease is held. */
interface Tenure {
  /** Undefined while an only server has not seen it. */
  record: LeaseRecord | undefined;
  /** Whether it ends by time. */
  isBound: boolean;
  /** Monotonic ms at which the last request was sent that renewed it. */
  renewedAt: number;
  /** Monotonic ms of the last look at it. */
  lookedAt: number;
}

export function sessionElection(deps: ElectionDeps, own: Candidate): Election {
  const engine: Engine = {
    ...deps,
    own,
    complain: limitedLog(deps.clock, (message, fields) => deps.log.warn(message, fields)),
    standing: { isHeld: false, holder: undefined, obstacle: undefined },
    hasLost: false,
  };
  return {
    standing: () => engine.standing,
    run: async (work, stop) => {
      while (!stop.aborted) {
        const tenure = await standBy(engine, stop);
        if (tenure !== undefined) {
          await hold(engine, tenure, work, stop);
        }
      }
    },
  };
}

/** Until this server may begin. @returns undefined at the signal */
async function standBy(engine: Engine, stop: AbortSignal): Promise<Tenure | undefined> {
  const { clock, memory } = engine;
  if (memory.isAlone() && !engine.hasLost && !(await isFoundTaken(engine, stop))) {
    const [renewedAt, lookedAt] = [clock.monotonic(), Number.NEGATIVE_INFINITY];
    return stop.aborted ? undefined : { record: undefined, isBound: false, renewedAt, lookedAt };
  }
  let seen: { readonly version: string; readonly at: number } | undefined;
  while (!stop.aborted) {
    try {
      const record = await request(engine, stop, (signal) =>
        readLease(engine.client, SESSION_LEASE, signal),
      );
      if (seen?.version !== record.version) {
        seen = { version: record.version, at: clock.monotonic() };
      }
      const obstacle = isFree(engine, record, seen.at)
        ? await request(engine, stop, engine.obstacle)
        : undefined;
      tell(engine, { isHeld: false, holder: record.holder?.node, obstacle });
      if (isFree(engine, record, seen.at) && obstacle === undefined) {
        return await take(engine, record, stop);
      }
    } catch (thrown) {
      standAside(engine, thrown, stop);
    }
    await clock.sleep(LOOK_INTERVAL_MS, stop);
  }
  return undefined;
}

/**
 * Whether an only server that comes back finds that another one has the session: its node was deleted, and it
 * does not know yet. One look: it must not wait for an API that is down.
 */
async function isFoundTaken(engine: Engine, stop: AbortSignal): Promise<boolean> {
  try {
    const read = (signal: AbortSignal) => readLease(engine.client, SESSION_LEASE, signal);
    const record = await request(engine, stop, read, FIRST_LOOK_LIMIT_MS);
    if (isOurs(engine, { isBound: false }, record)) {
      return false;
    }
  } catch {
    return false; // It looks again while it holds it.
  }
  engine.hasLost = true;
  noteOthers(engine);
  engine.onFoundTaken();
  return true;
}

function isFree({ clock, own, servers }: Engine, record: LeaseRecord, seenAt: number): boolean {
  const { holder, durationMs } = record;
  // An earlier start on this very machine is over.
  if (holder === undefined || holder.node === own.node) {
    return true;
  }
  // A shorter one would let us begin before its holder, of another version, has stopped.
  const waitMs = Math.max(durationMs ?? 0, LEASE_DURATION_MS);
  const isOld = clock.monotonic() - seenAt >= waitMs;
  return durationMs === undefined ? isOld && isTakenOut(servers(), own, holder) : isOld;
}

/** Whether somebody has deleted the node of an only server that was lost. */
function isTakenOut(
  servers: readonly string[] | undefined,
  own: Candidate,
  holder: Candidate,
): boolean {
  return servers?.includes(own.node) === true && !servers.includes(holder.node);
}

/** @throws ApiRejection with 409 where somebody else was faster */
async function take(engine: Engine, record: LeaseRecord, stop: AbortSignal): Promise<Tenure> {
  const { clock, memory, servers } = engine;
  const isBound = servers()?.length !== 1;
  const renewedAt = clock.monotonic();
  const written = await write(engine, record, isBound, stop);
  if (!isBound) {
    memory.note(true);
  }
  return { record: written, isBound, renewedAt, lookedAt: renewedAt };
}

async function hold(
  engine: Engine,
  tenure: Tenure,
  work: (signal: AbortSignal) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  tell(engine, { isHeld: true, holder: engine.own.node, obstacle: undefined });
  const life = childSignal(stop);
  const over = new AbortController();
  const working = work(life.signal).finally(() => over.abort());
  working.catch(() => undefined); // Thrown below.
  const isKept = await keep(engine, tenure, over.signal);
  if (!isKept) {
    engine.log.error('lost the session to another server, or cannot know that it has not');
    tell(engine, { isHeld: false, holder: undefined, obstacle: undefined });
    engine.hasLost = true;
    engine.onLost();
  }
  life.end();
  await working;
  // That of an only server waits for it: nobody else is to begin while its API is down.
  if (isKept && tenure.isBound) {
    await release(engine);
  }
  tell(engine, { isHeld: false, holder: undefined, obstacle: undefined });
}

/** Renews it until the work is over. @returns false once it is lost, at the deadline at the latest */
async function keep(engine: Engine, tenure: Tenure, over: AbortSignal): Promise<boolean> {
  const { clock } = engine;
  const leftMs = () =>
    tenure.isBound
      ? tenure.renewedAt + RENEW_DEADLINE_MS - clock.monotonic()
      : Number.POSITIVE_INFINITY;
  while (!over.aborted) {
    if (leftMs() <= 0) {
      return false;
    }
    let waitMs = tenure.isBound ? RENEW_INTERVAL_MS : LOOK_INTERVAL_MS;
    try {
      if (!(await renew(engine, tenure, Math.min(REQUEST_TIMEOUT_MS, leftMs()), over))) {
        return false;
      }
    } catch (thrown) {
      waitMs = LOOK_INTERVAL_MS;
      // An only server does without it, and others tell that the API is down.
      if (!over.aborted && tenure.isBound) {
        complainOf(engine, 'cannot renew the Lease of the session', thrown);
      }
    }
    await clock.sleep(Math.min(waitMs, Math.max(leftMs(), 0)), over);
  }
  return true;
}

/** @returns false where it is somebody else's */
async function renew(
  engine: Engine,
  tenure: Tenure,
  timeoutMs: number,
  over: AbortSignal,
): Promise<boolean> {
  const { clock, memory, own, servers } = engine;
  const count = servers()?.length;
  const isBound = count === undefined ? tenure.isBound : count > 1;
  const now = clock.monotonic();
  const isQuiet = !isBound && !tenure.isBound;
  if (isQuiet && now - tenure.lookedAt < ALONE_LOOK_INTERVAL_MS) {
    return true;
  }
  tenure.lookedAt = now;
  const limited = <T>(work: (signal: AbortSignal) => Promise<T>) =>
    request(engine, over, work, timeoutMs);
  const before =
    tenure.record === undefined || isQuiet
      ? await limited((signal) => readLease(engine.client, SESSION_LEASE, signal))
      : tenure.record;
  if (!isOurs(engine, tenure, before)) {
    noteOthers(engine);
    return false;
  }
  tenure.record = before;
  if (isQuiet && isSame(before.holder, own) && before.durationMs === undefined) {
    return true;
  }
  if (isBound && !tenure.isBound) {
    memory.note(false);
    // From here on it may be one that ends, even where the answer is lost.
    [tenure.isBound, tenure.renewedAt] = [true, now];
  }
  try {
    tenure.record = await write(engine, before, isBound, over, timeoutMs);
  } catch (thrown) {
    if (isRejectedWith(409, thrown)) {
      tenure.record = undefined; // Read anew at the next try.
    }
    throw thrown;
  }
  tenure.renewedAt = now;
  if (tenure.isBound !== isBound || isQuiet) {
    tenure.isBound = isBound;
    memory.note(true);
  }
  return true;
}

/** Somebody else has it, whether that can be noted or not. */
function noteOthers({ memory, log }: Engine): void {
  try {
    memory.note(false);
  } catch (thrown) {
    const { code, message } = toAgentError(thrown);
    log.error('cannot note that there are other servers', { error_code: code, error: message });
  }
}

/** An only server has not seen it yet, or finds that of its earlier start. */
function isOurs(
  { own }: Engine,
  { isBound }: Pick<Tenure, 'isBound'>,
  { holder }: LeaseRecord,
): boolean {
  return isSame(holder, own) || (!isBound && (holder === undefined || holder.node === own.node));
}

/** So that another server begins at once. Nothing of ours runs any more. */
async function release({ clock, client, log, own }: Engine): Promise<void> {
  try {
    const limit = { what: 'Giving back the Lease', ms: RELEASE_TIMEOUT_MS };
    await withDeadline(clock, limit, undefined, async (signal) => {
      // The answer to the last renewal may not have been waited for.
      const record = await readLease(client, SESSION_LEASE, signal);
      if (isSame(record.holder, own)) {
        const next = { holder: undefined, durationMs: record.durationMs };
        await writeLease(client, record, next, clock.now(), signal);
      }
    });
    log.info('gave back the Lease of the session');
  } catch (thrown) {
    const { code, message } = toAgentError(thrown);
    log.warn('cannot give back the Lease of the session; another server waits for its end', {
      error_code: code,
      error: message,
    });
  }
}

function write(
  engine: Engine,
  before: LeaseRecord,
  isBound: boolean,
  signal: AbortSignal,
  timeoutMs = REQUEST_TIMEOUT_MS,
): Promise<LeaseRecord> {
  const { clock, client, own } = engine;
  const next = { holder: own, durationMs: isBound ? LEASE_DURATION_MS : undefined };
  return request(
    engine,
    signal,
    (limited) => writeLease(client, before, next, clock.now(), limited),
    timeoutMs,
  );
}

function request<T>(
  { clock }: Engine,
  parent: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  ms = REQUEST_TIMEOUT_MS,
): Promise<T> {
  return withDeadline(clock, { what: 'The Lease of the session', ms }, parent, work);
}

function standAside(engine: Engine, thrown: unknown, stop: AbortSignal): void {
  if (stop.aborted || isRejectedWith(409, thrown)) {
    return; // Somebody else was faster.
  }
  const obstacle = toAgentError(thrown).message;
  tell(engine, { ...engine.standing, isHeld: false, obstacle });
  complainOf(engine, 'cannot see which server has the session', thrown);
}

function complainOf({ complain }: Engine, what: string, thrown: unknown): void {
  const { code, message } = toAgentError(thrown);
  complain(what, { error_code: code, error: message });
}

function tell(engine: Engine, next: LeaseStanding): void {
  const before = engine.standing;
  engine.standing = next;
  if (before.isHeld !== next.isHeld || before.holder !== next.holder) {
    const who = next.holder === undefined ? 'no server' : 'another server';
    engine.log.info(`${next.isHeld ? 'this server' : who} has the session`, { node: next.holder });
  }
}
