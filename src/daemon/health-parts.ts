/** How the agent is, and what else a person should know about the cluster: by role. */
import { basename, dirname } from 'node:path';
import type { SessionState } from '../control-plane/session/state.ts';
import type { AgentError } from '../core/errors.ts';
import type { Places } from '../core/places.ts';
import type { Clock, Files, Http, Log, ThisMachine } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { BUILD } from '../core/version.ts';
import { within } from '../core/waiting.ts';
import type { HealthFacts } from '../health/facts.ts';
import { type Health, healthTracker } from '../health/tracker.ts';
import { WARNABLES } from '../health/warnables/table.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { type NodeStates, nodeStates } from '../kubernetes/nodes/states.ts';
import { workers } from '../kubernetes/nodes/workers.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { DetailedHealth } from '../protocol/local-api.ts';
import { describeNodes, nodeFacts } from './cluster-nodes.ts';
import type { DesiredFacts, DesiredState } from './desired-state.ts';
import { cached, kubeletTrouble, kubernetesTrouble } from './probes.ts';
import { askServer } from './server-contact.ts';

/** The installed version changes with an upgrade alone, and is shown much later (`update`). */
const VERSION_KEPT_MS = 60_000;
/** How long an answer waits for the first list of nodes, after the start. */
const FIRST_LIST_WAIT_MS = 3_000;

export type ClusterView = Pick<DetailedHealth, 'nodes' | 'server' | 'desired'>;

export interface HealthParts {
  readonly health: Health;
  /** What `status` shows beside it. */
  readonly view: () => Promise<ClusterView>;
  readonly services: readonly Service[];
}

/** Of a server. */
export interface ServerHealth extends HealthParts {
  readonly nodes: NodeStates;
  /** Acts for the cluster: on one server only. */
  readonly workers: Service;
}

/** What every daemon knows of itself. */
export interface CommonHealthDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly files: Files;
  readonly places: Pick<Places, 'executableLink' | 'versionsDirectory'>;
  readonly unknownSettings: readonly string[];
  readonly findings: () => HealthFacts['findings'];
  readonly certificates: () => HealthFacts['certificates'];
  readonly k3sUnit: string;
}

export interface ServerHealthDeps extends CommonHealthDeps {
  readonly kubernetes: KubernetesClient;
  readonly follow: FollowKind;
  readonly machine: ThisMachine;
  readonly state: Pick<SessionState, 'snapshot' | 'clockSkewMs'>;
  /** Set while everything is refused because the policy file cannot be used. */
  readonly policyProblem: () => AgentError | undefined;
  /** Set while nothing can be written: commands wait until the disk takes them again. */
  readonly journalTrouble: () => AgentError | undefined;
  readonly memoryTrouble: () => AgentError | undefined;
  /** What is wrong with what it shares with other servers. */
  readonly sharing: () => HealthFacts['sharing'];
  readonly desired: DesiredState['facts'];
}

/** @param nodeName undefined: k3s takes the name of the machine */
export function serverHealth(deps: ServerHealthDeps, nodeName: string | undefined): ServerHealth {
  const { clock, machine, state } = deps;
  const nodes = nodeStates(deps);
  const ofWorkers = workers({ ...deps, client: deps.kubernetes });
  const known = {
    nodes,
    machine: () => ({
      hostname: nodeName ?? machine.hostname(),
      addresses: machine.addresses(),
    }),
  };
  const askKubernetes = cached(clock, () => kubernetesTrouble(deps));
  const common = commonFacts(deps);
  const gather = async (signal: AbortSignal): Promise<HealthFacts> => {
    const trouble = await askKubernetes();
    if (trouble === undefined) {
      await within(clock, FIRST_LIST_WAIT_MS, signal, (limited) => nodes.settled(limited));
    }
    return {
      ...(await common()),
      kubernetesTrouble: trouble,
      nodes: nodeFacts(known),
      trespassers: ofWorkers.trespassers(),
      // Read last, and each time: an earlier state of the session may belong to another token.
      session: state.snapshot(),
      clockSkewMs: state.clockSkewMs(),
      sharing: deps.sharing(),
      desired: deps.desired()?.problems ?? [],
      policyProblem: deps.policyProblem(),
      journalTrouble: deps.journalTrouble(),
      memoryTrouble: deps.memoryTrouble(),
    };
  };
  return {
    health: healthTracker(deps, WARNABLES, gather),
    view: async () => ({ nodes: describeNodes(known), ...desiredView(deps.desired()) }),
    services: [nodes.service],
    nodes,
    workers: ofWorkers.service,
  };
}

function desiredView(facts: DesiredFacts | undefined): Pick<ClusterView, 'desired'> {
  if (facts === undefined) {
    return {};
  }
  const { files, objects, changes, problems, lookedAt } = facts;
  const looked_at = lookedAt.toISOString();
  return { desired: { files, objects, changes, problems: problems.length, looked_at } };
}

/** @param serverPath the file in which root wrote which server this worker joined */
export function workerHealth(
  deps: CommonHealthDeps & { readonly http: Http },
  serverPath: string,
): HealthParts {
  const askKubelet = cached(deps.clock, () => kubeletTrouble(deps));
  const contact = cached(deps.clock, () => askServer(deps, serverPath));
  const common = commonFacts(deps);
  const gather = async (): Promise<HealthFacts> => {
    const [trouble, server] = await Promise.all([askKubelet(), contact()]);
    return { ...(await common()), kubeletTrouble: trouble, server };
  };
  return {
    health: healthTracker(deps, WARNABLES, gather),
    view: async () => {
      const server = await contact();
      return {
        server: server === undefined ? null : { ...server, trouble: server.trouble ?? null },
      };
    },
    services: [],
  };
}

/** Reads what every daemon knows. */
function commonFacts(deps: CommonHealthDeps): () => Promise<HealthFacts> {
  const installed = cached(deps.clock, () => installedVersion(deps), VERSION_KEPT_MS);
  return async () => ({
    now: deps.clock.now(),
    session: undefined,
    clockSkewMs: undefined,
    sharing: [],
    desired: [],
    policyProblem: undefined,
    journalTrouble: undefined,
    memoryTrouble: undefined,
    kubernetesTrouble: undefined,
    nodes: undefined,
    trespassers: [],
    kubeletTrouble: undefined,
    server: undefined,
    unknownSettings: deps.unknownSettings,
    findings: deps.findings(),
    certificates: deps.certificates(),
    k3sUnit: deps.k3sUnit,
    versions: { running: BUILD.version, installed: await installed() },
  });
}

/**
 * By what the link of the program leads to: `/opt/pipeops-agent/<version>/pipeops-agent`. Undefined where it
 * leads elsewhere, or is none: then somebody else decides which version runs.
 */
async function installedVersion({ files, places }: CommonHealthDeps): Promise<string | undefined> {
  const target = await files.readLink(places.executableLink).catch(() => undefined);
  const directory = target === undefined ? '' : dirname(target);
  return dirname(directory) === places.versionsDirectory ? basename(directory) : undefined;
}
