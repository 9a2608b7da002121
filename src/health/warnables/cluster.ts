/** What a server needs of its cluster. */
import { DEFAULT_PLACES } from '../../core/places.ts';
import type { NodeState } from '../../kubernetes/nodes/states.ts';
import type { HealthFacts } from '../facts.ts';
import { type Problem, problemsOf, type Warnable } from '../warnable.ts';

/** A short peak is not worth a warning. */
const SHORTAGE_VISIBLE_AFTER_MS = 60_000;
/** Problems of the desired state that get a warning each; `status` counts them all. */
const DESIRED_TOLD_MAX = 5;
/** Nodes that get a warning each; `status` counts them all. */
const NODES_TOLD_MAX = 5;

export const kubernetes: Warnable = {
  id: 'kubernetes',
  title: 'Kubernetes API',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'Nothing can be deployed, changed or looked at without it. Pods that run go on.',
  remedy: `Look at k3s: \`systemctl status k3s\`, \`sudo journalctl -u k3s\`. It needs a minute after a start, and longer on
a slow disk. Where it answers others but not the agent, the agent's credentials are out of date:
\`sudo systemctl restart pipeops-agent\` mints new ones.`,
  find: ({ kubernetesTrouble }) => problemsOf(kubernetesTrouble),
};

export const memory: Warnable = {
  id: 'memory',
  title: 'Memory of commands',
  severity: 'blocks',
  dependsOn: ['kubernetes'],
  visibleAfterMs: 0,
  why: 'With several servers a command is not begun before the cluster knows of it: it could be lost with its server.',
  remedy: `Nothing is lost: commands wait, and the agent goes on by itself. The message has Kubernetes' own words. Where it
refuses with "forbidden", the account for it is missing: \`sudo pipeops-agent install\` on a server makes it.
Where it does not answer, see whether most of the servers run: \`sudo k3s kubectl get nodes\`.`,
  find: ({ memoryTrouble }) => problemsOf(memoryTrouble),
};

export const ownNode: Warnable = {
  id: 'own-node',
  title: 'Node of this machine',
  severity: 'blocks',
  dependsOn: ['kubernetes'],
  visibleAfterMs: 0,
  why: 'No pod is started on this machine meanwhile, and after five minutes its pods are moved away.',
  remedy: `Look at its kubelet, which is part of k3s: \`sudo journalctl -u k3s\`. The message has its own words: often the
disk is full, memory is scarce, or the network of the pods did not come up. If this machine is not among the
nodes, let it join again: \`sudo systemctl restart k3s\`.`,
  find: ({ nodes }) => ownNodeProblems(nodes),
};

function ownNodeProblems(nodes: HealthFacts['nodes']): readonly Problem[] {
  if (nodes === undefined) {
    return [];
  }
  if (nodes === 'unknown') {
    const message = 'The nodes of the cluster are not known yet';
    return [{ code: 'KUBERNETES_API', message, hint: 'See them: sudo k3s kubectl get nodes' }];
  }
  const { own } = nodes;
  if (own === undefined) {
    const message = 'This machine is not among the nodes of the cluster';
    const hint = 'Let it join again: sudo systemctl restart k3s';
    return [{ code: 'K3S_NOT_READY', message, hint }];
  }
  return own.notReady === undefined
    ? []
    : [
        {
          code: 'K3S_NOT_READY',
          message: `The node of this machine, "${own.name}", is not ready${because(own)}`,
          hint: 'Look at: sudo journalctl -u k3s',
        },
      ];
}

export const otherNodes: Warnable = {
  id: 'nodes',
  title: 'Other nodes',
  severity: 'warns',
  dependsOn: ['kubernetes'],
  visibleAfterMs: 0,
  why: 'Another machine of the cluster is down, or its kubelet is. This agent goes on.',
  remedy: `On that machine: \`systemctl status k3s-agent\` (on a server \`k3s\`), its network, its clock. One that is gone for
good: \`sudo k3s kubectl delete node NAME\`.`,
  find: ({ nodes }) => {
    const others = nodes === undefined || nodes === 'unknown' ? [] : nodes.others;
    return others
      .filter(({ notReady }) => notReady !== undefined)
      .slice(0, NODES_TOLD_MAX)
      .map((node) => ({
        about: node.name,
        code: 'NODE_NOT_READY',
        message: `Node "${node.name}" is not ready${because(node)}`,
        hint: `On that machine: systemctl status ${node.isServer ? 'k3s' : 'k3s-agent'}`,
      }));
  },
};

export const shortages: Warnable = {
  id: 'shortages',
  title: 'Room on the nodes',
  severity: 'warns',
  dependsOn: ['kubernetes'],
  visibleAfterMs: SHORTAGE_VISIBLE_AFTER_MS,
  why: 'A node that is short of disk, memory or process ids takes no new pods, and evicts those that it has.',
  remedy: `On that machine. Disk: \`sudo journalctl --vacuum-size=200M\`, \`sudo k3s crictl rmi --prune\`, what is large:
\`sudo du -xh --max-depth=2 /var | sort -h | tail\`. Memory: see which pod has it,
\`sudo k3s kubectl top pods -A --sort-by=memory\`, and give it a limit. Process ids: see which pod makes them.`,
  find: ({ nodes }) => {
    if (nodes === undefined || nodes === 'unknown') {
      return [];
    }
    const own = nodes.own === undefined ? [] : [nodes.own];
    return [...own, ...nodes.others]
      .filter(({ shortOf }) => shortOf.length > 0)
      .slice(0, NODES_TOLD_MAX)
      .map(({ name, shortOf }) => ({
        about: name,
        code: 'CHECK_FAILED',
        message: `Node "${name}" is short of ${shortOf.join(' and ')}: it takes no new pods, and evicts some`,
        hint: `See what it is: sudo k3s kubectl describe node ${name}; on that machine: sudo pipeops-agent doctor`,
      }));
  },
};

/** ` since 2026-…: Kubelet stopped posting node status.` */
function because({ notReady }: NodeState): string {
  const since = notReady?.since == null ? '' : ` since ${notReady.since}`;
  return `${since}: ${notReady?.reason ?? ''}`;
}

export const joinTokens: Warnable = {
  id: 'join-tokens',
  title: 'Join tokens',
  severity: 'warns',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'A machine has joined with a token that was not made for it. The token is ended, the machine is still there.',
  remedy: `If you do not know that machine, take it out at once: \`sudo k3s kubectl delete node NAME\`, and see who had
the token: \`sudo pipeops-agent token list\`. If you do, make the next token for its name
(\`token create --node-name\`).`,
  find: ({ trespassers }) =>
    trespassers.map(({ node, message }) => ({
      about: node,
      code: 'JOIN_TOKEN_MISUSED',
      message: `${message}. The token is ended`,
      hint: `If you do not know that machine: sudo k3s kubectl delete node ${node}`,
    })),
};

export const desired: Warnable = {
  id: 'desired',
  title: 'Desired state',
  severity: 'warns',
  dependsOn: ['kubernetes'],
  visibleAfterMs: 0,
  why: 'Root has put manifests on this server that the cluster shall follow, and it does not: nothing that was taken out of them is removed meanwhile, either.',
  remedy: `The message names the file or the object, and what hinders it. A manifest that cannot be read is corrected in
\`${DEFAULT_PLACES.desiredDirectory}\`. What the policy refuses, root can allow: \`sudo pipeops-agent policy show\`. The agent
looks again every half minute ([DESIRED.md](DESIRED.md)).`,
  find: ({ desired: problems }) =>
    problems.slice(0, DESIRED_TOLD_MAX).map(({ about, code, message }) => ({
      about,
      code,
      message: `${about}: ${message}`,
      hint: `Correct it in ${DEFAULT_PLACES.desiredDirectory}, or allow it by the policy: docs/DESIRED.md`,
    })),
};
