import type { ClusterStatus } from '../../../src/protocol/rest.ts';
import type { StatusReportPayload } from '../../../src/protocol/session/messages.ts';

/** gap: it applies to a report that is not known here. A problem is against the protocol. */
export type ReportOutcome =
  | { readonly kind: 'waiting' | 'gap' }
  | { readonly kind: 'status'; readonly status: ClusterStatus }
  | { readonly kind: 'problem'; readonly problem: string };

const KINDS = ['nodes', 'namespaces', 'deployments', 'services', 'pods'] as const;
type Kind = (typeof KINDS)[number];
type Objects = Record<Kind, Map<string, unknown>>;

/** The cluster status of one agent, kept up to date by the reports of one connection. */
export class StatusReplica {
  #objects: Objects = empty();
  /** Sequence of the last whole report; undefined: nothing is known, a full one is needed. */
  #sequence: number | undefined;
  /** Parts of the report that is on its way. */
  #parts: StatusReportPayload[] = [];

  take(report: StatusReportPayload): ReportOutcome {
    const problem = problemOf(report, this.#parts);
    if (problem !== undefined) {
      this.#lose();
      return { kind: 'problem', problem };
    }
    if (report.part !== this.#parts.length + 1) {
      return this.#lose();
    }
    this.#parts.push(report);
    if (report.part < report.parts) {
      return { kind: 'waiting' };
    }
    const parts = this.#parts;
    this.#parts = [];
    if (
      report.kind === 'delta' &&
      (this.#sequence === undefined || report.base !== this.#sequence)
    ) {
      return this.#lose();
    }
    const objects = report.kind === 'full' ? empty() : this.#objects;
    for (const part of parts) {
      apply(objects, part);
    }
    this.#objects = objects;
    this.#sequence = report.sequence;
    return { kind: 'status', status: statusOf(objects, report) };
  }

  #lose(): ReportOutcome {
    this.#sequence = undefined;
    this.#parts = [];
    return { kind: 'gap' };
  }
}

/** What no loss of messages can explain. */
function problemOf(
  report: StatusReportPayload,
  parts: readonly StatusReportPayload[],
): string | undefined {
  const before = parts[0];
  if (report.part > report.parts) {
    return `part ${report.part} of ${report.parts}`;
  }
  if (report.kind === 'full' && KINDS.some((kind) => (report.removed[kind] ?? []).length > 0)) {
    return 'a full report removes something';
  }
  if ((report.kind === 'delta') !== (report.base !== undefined)) {
    return 'base is for deltas, and every delta has one';
  }
  if (report.base !== undefined && report.base >= report.sequence) {
    return `report ${report.sequence} applies to the later one ${report.base}`;
  }
  if (
    before !== undefined &&
    before.sequence === report.sequence &&
    (before.kind !== report.kind || before.parts !== report.parts || before.base !== report.base)
  ) {
    return `the parts of report ${report.sequence} do not belong together`;
  }
  return undefined;
}

function empty(): Objects {
  return {
    nodes: new Map(),
    namespaces: new Map(),
    deployments: new Map(),
    services: new Map(),
    pods: new Map(),
  };
}

function apply(objects: Objects, part: StatusReportPayload): void {
  for (const kind of KINDS) {
    for (const key of part.removed[kind] ?? []) {
      objects[kind].delete(key);
    }
    for (const object of part.changed[kind] ?? []) {
      objects[kind].set(keyOf(object), object);
    }
  }
}

function keyOf(object: string | { readonly name: string; readonly namespace?: string }): string {
  if (typeof object === 'string') {
    return object;
  }
  return object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`;
}

function statusOf(objects: Objects, report: StatusReportPayload): ClusterStatus {
  // Each map holds what the checked reports had under its own name.
  const lists = Object.fromEntries(KINDS.map((kind) => [kind, [...objects[kind].values()]]));
  const { metrics, timestamp } = report;
  return { ...lists, metrics, timestamp } as ClusterStatus;
}
