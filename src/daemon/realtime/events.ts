/** What happens, for those who read it as it happens. Nothing is recorded while nobody does. */
import type { CommandProgress } from '../../commands/engine/progress.ts';
import { bell, rungWithin } from '../../core/bell.ts';
import type { Clock, Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { together } from '../../core/together.ts';
import { BUILD } from '../../core/version.ts';
import { childSignal } from '../../core/waiting.ts';
import type { FollowKind } from '../../kubernetes/watch/shared-following.ts';
import type {
  CommandChange,
  Connected,
  GapData,
  HealthChange,
  RealtimeEvent,
  SessionChange,
} from '../../protocol/local-realtime.ts';
import { followEvents } from '../../reporting/follow-events.ts';
import type { RealtimeSource } from '../../server/api/sources.ts';
import { type EventReaders, eventReaders } from '../../server/realtime/event-readers.ts';
import { type EventRing, eventRing } from '../../server/realtime/event-ring.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';
import type { ChangedCommands } from './changed-commands.ts';

/** Those who read at the same time. */
const READERS_MAX = 1_000;
/** Of the events that are kept for those who come back. */
const EVENTS_BYTES_MAX = 512 * 1024;
/** How often health, session and commands are compared with what was told of them. */
const LOOK_INTERVAL_MS = 500;
/** After the last reader has gone, events are recorded for this long: it may come back. */
const RECORDED_AFTERWARDS_MS = 5 * 60_000;

const TOO_MANY: GapData = {
  reason: 'too many',
  message: 'Too many commands changed at once: read them anew',
};

export interface RealtimeEventsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly agentId: () => string;
  /** What the newest look has found; undefined before the first. */
  readonly health: () => HealthChange | undefined;
  readonly session: () => SessionChange;
  readonly journal: Pick<CommandJournal, 'row'>;
  readonly progress: Pick<CommandProgress, 'of'>;
  readonly changedCommands: ChangedCommands;
  /** Undefined on a worker: it has no way to the Kubernetes API. */
  readonly follow: FollowKind | undefined;
  /** How often the rows of each kind have changed. On a worker they never do. */
  readonly rowChanges: () => Readonly<Record<string, number>>;
}

type Tell = (event: RealtimeEvent) => void;

export function realtimeEvents(deps: RealtimeEventsDeps): {
  readonly events: RealtimeSource['events'];
  readonly services: readonly Service[];
} {
  const ring = eventRing(deps, EVENTS_BYTES_MAX);
  const change = bell();
  const readers = eventReaders(
    { ...deps, ring },
    { name: 'realtime-events', readersMax: READERS_MAX, onChange: change.ring },
  );
  return {
    events: ({ follow, lastId }) =>
      readers.open({
        follow,
        lastId,
        tail: 0,
        wants: () => true,
        greeting: {
          agent_id: deps.agentId(),
          version: BUILD.version,
          timestamp: deps.clock.now().toISOString(),
        } satisfies Connected,
      }),
    services: [
      readers.service,
      {
        name: 'realtime-recorder',
        start: async (signal) => ({
          done: recordWhileRead(deps, { ring, readers, change }, signal),
        }),
      },
    ],
  };
}

interface Recorded {
  readonly ring: EventRing;
  readonly readers: EventReaders;
  /** Rings when a reader has come or gone. */
  readonly change: ReturnType<typeof bell>;
}

async function recordWhileRead(
  deps: RealtimeEventsDeps,
  { ring, readers, change }: Recorded,
  signal: AbortSignal,
): Promise<void> {
  const tell: Tell = ({ event, data }) => ring.add(event, data);
  while (!signal.aborted) {
    await change.wait(signal);
    if (readers.count() > 0) {
      const over = childSignal(signal);
      const recording = record(deps, tell, over.signal);
      while (!signal.aborted && readers.count() > 0) {
        await change.wait(signal);
        if (readers.count() === 0) {
          await rungWithin(deps, change, RECORDED_AFTERWARDS_MS, signal);
        }
      }
      over.end();
      await recording;
      ring.clear();
    }
  }
}

async function record(deps: RealtimeEventsDeps, tell: Tell, signal: AbortSignal): Promise<void> {
  const { follow } = deps;
  const works = [(until: AbortSignal) => compare(deps, tell, until)];
  if (follow !== undefined) {
    works.push((until) =>
      followEvents({ ...deps, follow }, (data) => tell({ event: 'kubernetes_event', data }), until),
    );
  }
  await together(works, signal);
}

/** Tells what is different from the look before. */
async function compare(deps: RealtimeEventsDeps, tell: Tell, signal: AbortSignal): Promise<void> {
  const { clock, changedCommands } = deps;
  let health = deps.health();
  let session = deps.session();
  let rows = deps.rowChanges();
  changedCommands.want(true);
  while (await clock.sleep(LOOK_INTERVAL_MS, signal)) {
    const [healthThen, sessionThen, rowsThen] = [health, session, rows];
    health = deps.health();
    session = deps.session();
    rows = deps.rowChanges();
    if (health !== undefined && !isSameHealth(healthThen, health)) {
      tell({ event: 'health', data: health });
    }
    if (!isSameSession(sessionThen, session)) {
      tell({ event: 'session', data: session });
    }
    const kinds = Object.keys(rows).filter((kind) => rows[kind] !== rowsThen[kind]);
    if (kinds.length > 0) {
      tell({ event: 'rows', data: { kinds } });
    }
    tellCommands(deps, tell);
  }
  changedCommands.want(false);
}

/** Words of a message change with the time, and are no news. */
function isSameHealth(before: HealthChange | undefined, now: HealthChange): boolean {
  const key = ({ ready, problems }: HealthChange) =>
    JSON.stringify([ready, problems.map(({ code, about, since }) => [code, about, since])]);
  return before !== undefined && key(before) === key(now);
}

function isSameSession(before: SessionChange, now: SessionChange): boolean {
  const { last_contact: _, ...rest } = now;
  const { last_contact: __, ...restBefore } = before;
  return Bun.deepEquals(restBefore, rest);
}

function tellCommands(
  { changedCommands, journal, progress }: RealtimeEventsDeps,
  tell: Tell,
): void {
  const { ids, isWhole } = changedCommands.take();
  if (!isWhole) {
    tell({ event: 'gap', data: TOO_MANY });
  }
  for (const id of ids) {
    const row = journal.row(id);
    if (row !== undefined) {
      tell({
        event: 'command',
        data: { ...row, progress: progress.of(id) ?? null } satisfies CommandChange,
      });
    }
  }
}
