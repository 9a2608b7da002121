import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';
import type { StatusReportPayload } from '../protocol/session/messages.ts';

/** Size of the objects in one message, bytes; a peer takes messages of 4 MiB. */
const PART_LIMIT_BYTES = 512 * 1024;

/** What a report says, however many messages it takes. Lists that are unknown are absent. */
export type ReportContent = Pick<StatusReportPayload, 'changed' | 'removed'>;

const FIELDS = ['nodes', 'namespaces', 'deployments', 'services', 'pods'] as const;
type Field = (typeof FIELDS)[number];

/** The rows of one list that go into one message. */
interface Range {
  from: number;
  to: number;
}

interface Part {
  readonly changed: Partial<Record<Field, Range>>;
  readonly removed: Partial<Record<Field, Range>>;
}

/**
 * Cuts a report into messages, without blocking. Each known list appears in at least one of them,
 * so that an empty list is not taken for an unknown one.
 */
export async function splitReport(
  deps: { readonly clock: Clock },
  content: ReportContent,
): Promise<readonly ReportContent[]> {
  const budget = loopBudget(deps);
  let part: Part = { changed: {}, removed: {} };
  const parts = [part];
  let bytes = 0;
  for (const side of ['changed', 'removed'] as const) {
    for (const field of FIELDS) {
      const rows: readonly unknown[] | undefined = content[side][field];
      if (rows === undefined) {
        continue;
      }
      let range: Range = { from: 0, to: 0 };
      part[side][field] = range;
      for (const row of rows) {
        const rowBytes = Buffer.byteLength(JSON.stringify(row)) + 1;
        if (bytes > 0 && bytes + rowBytes > PART_LIMIT_BYTES) {
          part = { changed: {}, removed: {} };
          parts.push(part);
          range = { from: range.to, to: range.to };
          part[side][field] = range;
          bytes = 0;
        }
        range.to += 1;
        bytes += rowBytes;
        if (budget.spent()) {
          await budget.rest();
        }
      }
    }
  }
  return parts.map((each) => cut(content, each));
}

function cut({ changed, removed }: ReportContent, part: Part): ReportContent {
  return {
    changed: {
      ...slice('nodes', changed.nodes, part.changed.nodes),
      ...slice('namespaces', changed.namespaces, part.changed.namespaces),
      ...slice('deployments', changed.deployments, part.changed.deployments),
      ...slice('services', changed.services, part.changed.services),
      ...slice('pods', changed.pods, part.changed.pods),
    },
    removed: {
      ...slice('nodes', removed.nodes, part.removed.nodes),
      ...slice('namespaces', removed.namespaces, part.removed.namespaces),
      ...slice('deployments', removed.deployments, part.removed.deployments),
      ...slice('services', removed.services, part.removed.services),
      ...slice('pods', removed.pods, part.removed.pods),
    },
  };
}

function slice<Name extends Field, Row>(
  name: Name,
  rows: Row[] | undefined,
  range: Range | undefined,
): { [Key in Name]?: Row[] } {
  const empty: { [Key in Name]?: Row[] } = {};
  return rows === undefined || range === undefined
    ? empty
    : { ...empty, [name]: rows.slice(range.from, range.to) };
}
