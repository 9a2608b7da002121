/** What may be asked for in the address of a request to the local API. */
import * as z from 'zod';
import { DnsLabel } from './dns-label.ts';

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
  .regex(/^[^=]{1,317}=.{0,63}$/)
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
