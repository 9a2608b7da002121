import type { StatusReports } from '../control-plane/session/ports.ts';
import type { Clock } from '../core/ports.ts';
import {
  type ClusterCache,
  REPORTED_KINDS,
  type ReportedKind,
} from '../kubernetes/watch/cluster-cache.ts';
import type { Changes, KindCache } from '../kubernetes/watch/kind-cache.ts';
import type { StatusReportPayload } from '../protocol/session/messages.ts';
import type { ClusterState } from './cluster-state.ts';
import { type ReportContent, splitReport } from './report-parts.ts';

/** A full report comes at least this often, which repairs any earlier error. */
export const FULL_REPORT_INTERVAL_MS = 10 * 60_000;

/** The peer's state: the report that the next delta applies to. */
interface Base {
  readonly fullAtMs: number;
  /** Generation of each kind that was known then. */
  readonly generations: Generations;
}

type Generations = Readonly<Partial<Record<ReportedKind, number>>>;

/** The reports of one connection (StatusReports of control-plane/session/ports.ts). */
export function statusReports(deps: { readonly clock: Clock }, state: ClusterState): StatusReports {
  let sequence = 0;
  let base: Base | undefined;
  return {
    next: async (signal) => {
      await state.ready(signal);
      // No await below until content and generations are read, because they belong together.
      const nowMs = deps.clock.monotonic();
      const due = base === undefined || nowMs - base.fullAtMs >= FULL_REPORT_INTERVAL_MS;
      const delta = due ? undefined : deltaSince(state.cache, base?.generations ?? {});
      sequence += 1;
      const head =
        delta === undefined
          ? { kind: 'full' as const, sequence }
          : { kind: 'delta' as const, sequence, base: sequence - 1 };
      const content = delta ?? fullContent(state.cache);
      base = {
        fullAtMs: delta === undefined ? nowMs : (base?.fullAtMs ?? nowMs),
        generations: generationsOf(state.cache),
      };
      const tail = { metrics: state.metrics(), timestamp: deps.clock.now().toISOString() };
      const parts = await splitReport(deps, content);
      return payloads(head, parts, tail);
    },
    reset: () => {
      base = undefined;
    },
  };
}

async function* payloads(
  head: Pick<StatusReportPayload, 'kind' | 'sequence' | 'base'>,
  parts: readonly ReportContent[],
  tail: Pick<StatusReportPayload, 'metrics' | 'timestamp'>,
): AsyncGenerator<StatusReportPayload> {
  for (const [index, part] of parts.entries()) {
    yield { ...head, part: index + 1, parts: parts.length, ...part, ...tail };
  }
}

function generationsOf(cache: ClusterCache): Generations {
  const known = REPORTED_KINDS.filter((kind) => cache[kind].isKnown());
  return Object.fromEntries(known.map((kind) => [kind, cache[kind].generation]));
}

function fullContent({ nodes, namespaces, deployments, services, pods }: ClusterCache) {
  const changed: ReportContent['changed'] = {
    ...(nodes.isKnown() ? { nodes: nodes.rows().map(({ status }) => status) } : {}),
    ...(namespaces.isKnown() ? { namespaces: namespaces.rows() } : {}),
    ...(deployments.isKnown() ? { deployments: deployments.rows() } : {}),
    ...(services.isKnown() ? { services: services.rows() } : {}),
    ...(pods.isKnown() ? { pods: pods.rows() } : {}),
  };
  return { changed, removed: {} };
}

/**
 * @returns undefined when a full report serves better: the known kinds are others than before, the
 *   changes are no longer remembered, or there are more changes than objects
 */
function deltaSince(cache: ClusterCache, before: Generations): ReportContent | undefined {
  const sameKinds = REPORTED_KINDS.every(
    (kind) => cache[kind].isKnown() === (before[kind] !== undefined),
  );
  const nodes = changesOf(cache.nodes, before.nodes);
  const namespaces = changesOf(cache.namespaces, before.namespaces);
  const deployments = changesOf(cache.deployments, before.deployments);
  const services = changesOf(cache.services, before.services);
  const pods = changesOf(cache.pods, before.pods);
  const all = [nodes, namespaces, deployments, services, pods];
  const changes = all.reduce((sum, each) => sum + (each === undefined ? 0 : sizeOf(each)), 0);
  const objects = REPORTED_KINDS.reduce((sum, kind) => sum + cache[kind].size, 0);
  if (!sameKinds || all.includes(undefined) || changes > objects) {
    return undefined;
  }
  return {
    changed: {
      ...(nodes?.changed.length ? { nodes: nodes.changed.map(({ status }) => status) } : {}),
      ...(namespaces?.changed.length ? { namespaces: namespaces.changed } : {}),
      ...(deployments?.changed.length ? { deployments: deployments.changed } : {}),
      ...(services?.changed.length ? { services: services.changed } : {}),
      ...(pods?.changed.length ? { pods: pods.changed } : {}),
    },
    removed: {
      ...(nodes?.removed.length ? { nodes: nodes.removed } : {}),
      ...(namespaces?.removed.length ? { namespaces: namespaces.removed } : {}),
      ...(deployments?.removed.length ? { deployments: deployments.removed } : {}),
      ...(services?.removed.length ? { services: services.removed } : {}),
      ...(pods?.removed.length ? { pods: pods.removed } : {}),
    },
  };
}

const NOTHING = { changed: [], removed: [] };

/** A kind that was unknown before has no changes. */
function changesOf<T, Row>(
  cache: KindCache<T, Row>,
  generation: number | undefined,
): Changes<Row> | undefined {
  return generation === undefined ? NOTHING : cache.changesSince(generation);
}

function sizeOf({ changed, removed }: Changes<unknown>): number {
  return changed.length + removed.length;
}
