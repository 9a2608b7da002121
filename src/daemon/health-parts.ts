/** The agent's health, and what else a person should know about the cluster: by role. */
import type { Clock, Files, Http, Log, ThisMachine } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { type NodeStates, nodeStates } from '../kubernetes/nodes/states.ts';
import { type Workers, workers } from '../kubernetes/nodes/workers.ts';
import type { FollowKind } from '../kubernetes/watch/shared-following.ts';
import type { DetailedHealth, Reason } from '../protocol/local-api.ts';
import { describeNodes, nodeWarnings, withOwnNode } from './cluster-nodes.ts';
import { cached, nodeReadiness, type Readiness } from './readiness.ts';
import { askServer, type ServerContact } from './server-contact.ts';

export type ClusterView = Pick<DetailedHealth, 'warnings' | 'nodes' | 'server'>;

export interface HealthParts {
  readonly readiness: Readiness;
  /** What a person should know although the agent is ready. */
  readonly warnings: () => readonly Reason[];
  /** What `status` shows beside readiness. */
  readonly view: () => Promise<ClusterView>;
  readonly services: readonly Service[];
}

/** Of a server. */
export interface ServerHealth extends HealthParts {
  readonly nodes: NodeStates;
  /** Acts for the cluster: on one server only. */
  readonly workers: Service;
}

/** @param nodeName undefined: k3s takes the name of the machine */
export function serverHealth(
  deps: {
    readonly clock: Clock;
    readonly log: Log;
    readonly kubernetes: KubernetesClient;
    readonly follow: FollowKind;
    readonly machine: ThisMachine;
  },
  readiness: Readiness,
  nodeName: string | undefined,
): ServerHealth {
  const { clock, machine } = deps;
  const nodes = nodeStates(deps);
  const ofWorkers = workers({ ...deps, client: deps.kubernetes });
  const known = {
    clock,
    nodes,
    machine: () => ({
      hostname: nodeName ?? machine.hostname(),
      addresses: machine.addresses(),
    }),
  };
  const warnings = () => [...nodeWarnings(known), ...trespasserWarnings(ofWorkers)];
  return {
    readiness: withOwnNode(known, readiness),
    warnings,
    view: async () => ({ warnings: warnings(), nodes: describeNodes(known) }),
    services: [nodes.service],
    nodes,
    workers: ofWorkers.service,
  };
}

function trespasserWarnings(ofWorkers: Workers): readonly Reason[] {
  return ofWorkers.trespassers().map(({ node, message }) => ({
    code: 'JOIN_TOKEN_MISUSED',
    message: `${message}. The token is ended`,
    hint: `If you do not know that machine: sudo k3s kubectl delete node ${node}`,
  }));
}

/** @param serverPath the file in which root wrote which server this worker joined */
export function workerHealth(
  deps: { readonly clock: Clock; readonly files: Files; readonly http: Http },
  serverPath: string,
): HealthParts {
  const kubelet = nodeReadiness(deps);
  const contact = cached(deps.clock, () => askServer(deps, serverPath));
  return {
    readiness: async (signal) => {
      const [answer, server] = await Promise.all([kubelet(signal), contact()]);
      const reasons = [...answer.reasons, ...serverReasons(server)];
      return { ready: reasons.length === 0, reasons };
    },
    warnings: () => [],
    view: async () => {
      const server = await contact();
      return {
        warnings: [],
        server: server === undefined ? null : { ...server, trouble: server.trouble ?? null },
      };
    },
    services: [],
  };
}

function serverReasons(server: ServerContact | undefined): readonly Reason[] {
  if (server?.trouble === undefined) {
    return [];
  }
  return [
    {
      code: 'SERVER_UNREACHABLE',
      message: `The server of the cluster, ${server.url}, does not answer: ${server.trouble}`,
      hint: 'On the server: systemctl status k3s; between the machines: port 6443 must be open',
    },
  ];
}

/** With more that a person should know although the agent is ready. */
export function withWarnings(health: HealthParts, more: () => readonly Reason[]): HealthParts {
  return {
    ...health,
    warnings: () => [...health.warnings(), ...more()],
    view: async () => {
      const view = await health.view();
      return { ...view, warnings: [...(view.warnings ?? []), ...more()] };
    },
  };
}
