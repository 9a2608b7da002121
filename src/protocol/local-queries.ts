/** What may be asked for in the address of a request to the local API. */
import * as z from 'zod';
import { LOG_LEVELS } from '../core/log-levels.ts';
import { DnsLabel } from './dns-label.ts';
import { DnsSubdomain } from './dns-subdomain.ts';

/** Rows of one answer. */
const ROWS_MAX = 500;
const ROWS_USUAL = 100;
/** A later page than this is not asked for: a filter finds more. */
const OFFSET_MAX = 9_500;

const text = z.string().min(1).max(253);

export const NoQuery = z.strictObject({});

const Page = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(ROWS_MAX)
    .default(ROWS_USUAL)
    .describe('rows of the answer'),
  offset: z.coerce
    .number()
    .int()
    .min(0)
    .max(OFFSET_MAX)
    .default(0)
    .describe('rows before the first one'),
};

/** @param fields by which the rows can be sorted, each also with `-`; the first one is usual */
function sorting<const Field extends string>(first: Field, ...others: readonly Field[]) {
  const fields = [first, ...others].flatMap((field) => [field, `-${field}`]);
  return z.enum(fields).default(first).describe('by which field, with `-` the largest first');
}

const name = text.describe('a part of the name').optional();
const namespace = DnsLabel.describe('only of this namespace').optional();
const label = z
  .string()
  // What values may have (kubernetes.io, "Labels and Selectors").
  .regex(/^[^=]{1,317}=[-A-Za-z0-9_.]{0,63}$/)
  .describe('only with this label: `key=value`')
  .optional();

export const NodesQuery = z.strictObject({
  ...{ name, label, ...Page },
  sort: sorting('name', 'ready', 'version'),
});
export const NamespacesQuery = z.strictObject({ name, ...Page, sort: sorting('name') });
const resource = { namespace, name, label, ...Page };
export const ResourcesQuery = z.strictObject({
  ...resource,
  sort: sorting('name', 'namespace', 'ready', 'created_at'),
});
export const PodsQuery = z.strictObject({
  ...resource,
  node: text.describe('only on this node').optional(),
  phase: text.describe('only in this phase: `Running`').optional(),
  sort: sorting('name', 'namespace', 'phase', 'node_name', 'restarts', 'created_at'),
});
export const EventsQuery = z.strictObject({
  ...{ namespace, name, ...Page },
  type: text.describe('`Warning`, `Normal`').optional(),
  sort: sorting('-last_seen', 'last_seen'),
});

export const NodeUsageQuery = z.strictObject({
  ...{ name, ...Page },
  sort: sorting('-cpu', 'cpu', 'memory_bytes', 'name'),
});
export const PodUsageQuery = NodeUsageQuery.extend({ namespace });

export const RoutesQuery = z.strictObject({
  ...{ namespace, ...Page },
  name: text.describe('a part of the host').optional(),
  sort: sorting('host', 'namespace', 'service'),
});
export const TunnelsQuery = z.strictObject({
  ...{ namespace, name, ...Page },
  sort: sorting('port', 'namespace', 'service'),
});
export const TunnelStreamsQuery = z.strictObject({
  ...{ namespace, ...Page },
  name: text.describe('a part of the Service').optional(),
  sort: sorting('-since', 'bytes_in', 'bytes_out', 'namespace', 'service'),
});
export const RefusalsQuery = z.strictObject({
  ...Page,
  name: text.describe('a part of what was asked for').optional(),
  sort: sorting('-last_at', 'times', 'rule'),
});

export const CommandsQuery = z.strictObject({
  state: z
    .enum(['accepted', 'running', 'done', 'delivered'])
    .optional()
    .describe('only in this state'),
  limit: Page.limit,
  before: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .describe('only older ones than this `sequence`: `next` of the answer before'),
});
export type CommandsQuery = z.infer<typeof CommandsQuery>;
export const CommandPath = z.strictObject({
  id: z.string().min(1).max(128).describe('of a command'),
});

/** What a flag may be in an address. */
function flag(usual: boolean, meaning: string) {
  return z
    .enum(['true', 'false'])
    .default(usual ? 'true' : 'false')
    .transform((text) => text === 'true')
    .describe(meaning);
}

export const RealtimeQuery = z.strictObject({
  follow: flag(true, '`false`: it ends when what is there was sent'),
  after: text
    .max(64)
    .describe('id of the newest event that you know, for who cannot send `Last-Event-ID`')
    .optional(),
});

/** Lines of one answer. */
const LINES_MAX = 10_000;
const LINES_USUAL = 100;
/** Thirty days. */
const SINCE_SECONDS_MAX = 2_592_000;
/** Lines of the log of the agent that are kept, at most. */
const OWN_LINES_MAX = 1_000;

function count(usual: number, max: number, meaning: string) {
  return z.coerce.number().int().min(0).max(max).default(usual).describe(meaning);
}

export const RealtimeLogsQuery = RealtimeQuery.extend({
  level: z.enum(LOG_LEVELS).default('debug').describe('only lines that are at least so grave'),
  tail: count(LINES_USUAL, OWN_LINES_MAX, 'so many of the newest lines come first'),
});

export const PodLogQuery = z.strictObject({
  namespace: DnsLabel,
  pod: DnsSubdomain,
  container: DnsLabel.describe('where the pod has several').optional(),
  tail: count(LINES_USUAL, LINES_MAX, 'so many of the newest lines'),
  since_seconds: z.coerce
    .number()
    .int()
    .min(1)
    .max(SINCE_SECONDS_MAX)
    .describe('only lines of the last so many seconds')
    .optional(),
  previous: flag(false, 'of the run before the last restart'),
  follow: flag(false, '`true`: it goes on with the lines that come'),
});
export type PodLogQuery = z.infer<typeof PodLogQuery>;

/** A day, and ten minutes. */
const LEVEL_SECONDS_MAX = 86_400;
const LEVEL_SECONDS_USUAL = 600;

export const LogLevelChange = z.strictObject({
  level: z.enum(LOG_LEVELS),
  seconds: z.coerce
    .number()
    .int()
    .min(1)
    .max(LEVEL_SECONDS_MAX)
    .default(LEVEL_SECONDS_USUAL)
    .describe('after which the configured one is in force again'),
});
export type LogLevelChange = z.infer<typeof LogLevelChange>;
