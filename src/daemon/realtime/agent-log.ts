/** The newest lines of the agent's own log, for those who want to read them over the API. */
import { rankOfLevel } from '../../core/log-levels.ts';
import type { Clock, Log, LogFields, LogLevel } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import { redactedStart } from '../../core/text/middle-cut.ts';
import { BUILD } from '../../core/version.ts';
import type { Connected, LogLine } from '../../protocol/local-realtime.ts';
import type { RealtimeSource } from '../../server/api/sources.ts';
import { eventReaders } from '../../server/realtime/event-readers.ts';
import { type EventRing, eventRing } from '../../server/realtime/event-ring.ts';

/** Of the lines that are kept. */
const LINES_BYTES_MAX = 128 * 1024;
/** Characters of a message, and of each of its fields. */
const TEXT_LENGTH_MAX = 2_000;
/** Those who read at the same time. */
const READERS_MAX = 100;

/** Lines as they came. */
export type AgentLogRing = EventRing;

export function agentLogRing(deps: { readonly clock: Clock }): AgentLogRing {
  return eventRing(deps, LINES_BYTES_MAX);
}

/** Keeps a line, without its secrets. */
export function keepLine(
  { clock, ring }: { readonly clock: Clock; readonly ring: AgentLogRing },
  entry: { readonly level: LogLevel; readonly message: string; readonly fields: LogFields },
): void {
  const { level, message, fields } = entry;
  const line: LogLine = {
    timestamp: clock.now().toISOString(),
    level,
    message: redactedStart(message, TEXT_LENGTH_MAX),
    fields: Object.fromEntries(
      Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => [
          name,
          typeof value === 'string' ? redactedStart(value, TEXT_LENGTH_MAX) : (value ?? null),
        ]),
    ),
  };
  ring.add('log', line, rankOfLevel(level));
}

export function agentLog(deps: {
  readonly clock: Clock;
  readonly log: Log;
  readonly logRing: AgentLogRing;
  readonly agentId: () => string;
}): { readonly logs: RealtimeSource['logs']; readonly service: Service } {
  const readers = eventReaders(
    { ...deps, ring: deps.logRing },
    { name: 'realtime-logs', readersMax: READERS_MAX },
  );
  return {
    logs: ({ level, ...query }) =>
      readers.open({
        ...query,
        wants: (rank) => rank <= rankOfLevel(level),
        greeting: {
          agent_id: deps.agentId(),
          version: BUILD.version,
          timestamp: deps.clock.now().toISOString(),
        } satisfies Connected,
      }),
    service: readers.service,
  };
}
