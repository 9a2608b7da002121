/** Streams of the local API: what happens, as it happens (html.spec.whatwg.org, "Server-sent events"). */
import * as z from 'zod';
import { DetailedHealth, HealthAnswer } from './local-api.ts';
import { EventRow } from './local-cluster.ts';
import { CommandRow } from './local-commands.ts';

/** Why a stream ends, where that is not the caller's doing. */
const EndReason = z.object({
  /** `SHUTTING_DOWN`, `READER_TOO_SLOW`. */
  code: z.string(),
  message: z.string(),
});
export type EndReason = z.infer<typeof EndReason>;

const GapData = z.object({
  /** `restarted`, `forgotten`, `too many`. */
  reason: z.string(),
  message: z.string(),
});
export type GapData = z.infer<typeof GapData>;

const Connected = z.object({ agent_id: z.string(), version: z.string(), timestamp: z.string() });
export type Connected = z.infer<typeof Connected>;

/** What blocks and what warns, the gravest first, as `/api/health` has it. */
export const HealthChange = HealthAnswer.pick({ ready: true, problems: true });
export type HealthChange = z.infer<typeof HealthChange>;

export const SessionChange = DetailedHealth.shape.session;
export type SessionChange = z.infer<typeof SessionChange>;

/** As `/api/commands` has it, with what it does just now. */
export const CommandChange = CommandRow.extend({ progress: z.string().nullable() });
export type CommandChange = z.infer<typeof CommandChange>;

/** Kinds as `/api/k8s/{kind}` has them: `pods`; and `routes`, `tunnels`. */
const RowsChange = z.object({ kinds: z.array(z.string()) });

export const LogLine = z.object({
  timestamp: z.string(),
  /** `error`, `warn`, `info`, `debug`. */
  level: z.string(),
  message: z.string(),
  /** What varies; no secret is in it. */
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type LogLine = z.infer<typeof LogLine>;

function named<const Name extends string, Data extends z.ZodType>(event: Name, data: Data) {
  return z.object({ event: z.literal(event), data });
}

const connected = named('connected', Connected).describe('The first one.');
const gap = named('gap', GapData).describe(
  'What came between the last event that you know and the next one here is not known: read anew what you show.',
);
const end = named('end', EndReason).describe('The last one, where the agent ends the stream.');

/** GET /api/realtime/events */
export const RealtimeEvent = z.discriminatedUnion('event', [
  connected,
  gap,
  named('health', HealthChange).describe('How the agent is, whenever that changes.'),
  named('session', SessionChange).describe(
    'The session with the control plane, whenever it changes.',
  ),
  named('command', CommandChange).describe(
    'A remote command that was accepted, began, went on, ended or was delivered: as it is now.',
  ),
  named('kubernetes_event', EventRow).describe('An event of the cluster. On servers only.'),
  named('rows', RowsChange).describe(
    'Nodes, namespaces, Deployments, Services, pods, routes or tunnels have changed: ask for those kinds anew. On servers only.',
  ),
  end,
]);
export type RealtimeEvent = z.infer<typeof RealtimeEvent>;

/** GET /api/realtime/logs */
export const LogEvent = z.discriminatedUnion('event', [
  connected,
  gap,
  named('log', LogLine).describe('A line of the log of the agent.'),
  end,
]);
export type LogEvent = z.infer<typeof LogEvent>;
