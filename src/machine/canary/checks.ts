/** What `doctor --canary` judges of what its pods met. */
import type { Check, Finding } from '../../host/checks/check.ts';
import { securityModules } from '../../host/facts/security-modules.ts';
import { API_TARGET, type CanarySeen } from './look.ts';

/** Together, of 2.5 s each: starting pods takes the most of it. */
const STEPS = 12;
const UNCONFINED = /^unconfined$|:unconfined_|:spc_t:/;

/** @param look runs the canary; asked by each check, and run once */
export function canaryChecks(look: () => Promise<CanarySeen>): readonly Check[] {
  const common = { cost: 'dear', networkSteps: STEPS, roles: ['server'] } as const;
  return [
    {
      ...common,
      id: 'canary-container',
      title: 'Canary: containers',
      severity: 'blocks',
      why: 'A container that does not start on a node, or that SELinux or AppArmor does not hold, is so for every application.',
      remedy: `Looked at with \`doctor --canary\`. The message has the words of the node. Where SELinux or AppArmor is on, see what was denied: \`sudo ausearch -m avc -ts recent\`,
or \`sudo journalctl -k --grep 'apparmor="DENIED"'\`; for SELinux install \`k3s-selinux\`, and restart k3s. An image that cannot be pulled: look at the registry.`,
      needs: [securityModules],
      run: async (facts) => containers(await look(), await facts(securityModules)),
    },
    {
      ...common,
      id: 'canary-network',
      title: 'Canary: pods to pods',
      severity: 'blocks',
      why: 'Pods of one node do not reach those of another, or the API: applications fail in ways that look like their own faults.',
      remedy: `Looked at with \`doctor --canary\`: from inside a pod here, a pod on each other node, and the API. What is dead is mostly a firewall: between all nodes UDP 8472 must pass both ways
(vxlan of flannel; with the WireGuard backend 51820), and packets from and to the pods. \`sudo pipeops-agent doctor\` on each machine names the rule. A cloud has a
firewall of its own (security groups). Where packets with wrong checksums arrive, the network card breaks vxlan: turn the offload off on every node, with
\`sudo ethtool -K flannel.1 tx-checksum-ip-generic off\`; it lasts until the next start of k3s, so put it into a unit that runs after it.`,
      needs: [],
      run: async () => network(await look()),
    },
    {
      ...common,
      id: 'canary-dns',
      title: 'Canary: DNS in pods',
      severity: 'blocks',
      why: 'Pods find neither Services nor the internet by name.',
      remedy: `Looked at with \`doctor --canary\`: a pod here asks the cluster's DNS for \`kubernetes.default\`. See whether it runs: \`sudo k3s kubectl --namespace kube-system get pods --selector=k8s-app=kube-dns\`.
If it does, on another node, the network between the nodes is what is dead: see \`canary-network\`.`,
      needs: [],
      run: async () => names(await look()),
    },
  ];
}

function containers(
  { notRunning, notReady, confinedBy, node }: CanarySeen,
  { selinux, hasAppArmor }: { readonly selinux: string | undefined; readonly hasAppArmor: boolean },
): Finding | undefined {
  const guard = selinux === 'enforcing' ? 'SELinux' : hasAppArmor ? 'AppArmor' : undefined;
  const isLoose = guard !== undefined && confinedBy !== undefined && UNCONFINED.test(confinedBy);
  const parts = [
    ...notRunning.map(({ node: where, why }) => `a container does not start on ${where} (${why})`),
    ...notReady.map((where) => `node ${where} is not Ready`),
    ...(isLoose
      ? [`${guard} is on, and does not hold a container on ${node} (${confinedBy})`]
      : []),
  ];
  return parts.length === 0
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `Of the canary: ${parts.join('; ')}`,
        hint:
          guard === undefined || (notRunning.length === 0 && !isLoose)
            ? 'Look there: sudo k3s kubectl describe node, and journalctl -u k3s (on a worker k3s-agent)'
            : `See what ${guard} denied: ${guard === 'SELinux' ? 'sudo ausearch -m avc -ts recent' : 'sudo journalctl -k --grep \'apparmor="DENIED"\''}`,
        details: { notRunning, notReady, confinedBy: confinedBy ?? null },
      };
}

function network(seen: CanarySeen): Finding | { readonly notChecked: string } | undefined {
  const { fromPod, fromHost, wrongChecksums } = seen;
  if (fromPod === undefined) {
    return { notChecked: 'no pod runs on this machine' };
  }
  const dead = fromPod.tcp.filter(({ trouble }) => trouble !== null);
  const deadFromHost = fromHost.tcp.filter(({ trouble }) => trouble !== null);
  if (dead.length === 0 && deadFromHost.length === 0) {
    return undefined;
  }
  const words = (from: string, { name, trouble }: (typeof dead)[number]) =>
    `from ${from} ${name === API_TARGET ? name : `pods on ${name}`} cannot be reached (${trouble})`;
  return {
    code: 'CHECK_FAILED',
    message: [
      ...dead.map((each) => words('a pod here', each)),
      ...deadFromHost.map((each) => words('this machine', each)),
    ].join('; '),
    ...(wrongChecksums > 0
      ? {
          hint: `${wrongChecksums} UDP packets came with a wrong checksum: a network card that breaks vxlan. On every node`,
          fix: 'sudo ethtool -K flannel.1 tx-checksum-ip-generic off',
        }
      : { hint: hintFor(seen) }),
    details: { fromPod, fromHost, wrongChecksums },
  };
}

/** One node alone points to that machine; the API alone to this one. */
function hintFor({ fromPod, node }: CanarySeen): string {
  const dead = (fromPod?.tcp ?? []).filter(
    ({ trouble, name }) => trouble !== null && name !== API_TARGET,
  );
  return dead.length === 0
    ? 'Let packets of the pods pass the firewall of this machine: sudo pipeops-agent doctor names the rule'
    : `Let UDP 8472 (vxlan) pass between ${node} and ${dead.map(({ name }) => name).join(', ')}, both ways, and packets of the pods: sudo pipeops-agent doctor, on each of them, names the rule; a cloud has a firewall of its own`;
}

function names({
  fromPod,
  hasDns,
}: CanarySeen): Finding | { readonly notChecked: string } | undefined {
  if (fromPod === undefined || !hasDns) {
    return {
      notChecked: hasDns ? 'no pod runs on this machine' : 'the cluster has no Service kube-dns',
    };
  }
  return fromPod.dns === null
    ? undefined
    : {
        code: 'CHECK_FAILED',
        message: `The cluster's DNS does not answer a pod here: ${fromPod.dns}`,
        hint: 'See whether it runs, and where: sudo k3s kubectl --namespace kube-system get pods --output=wide --selector=k8s-app=kube-dns',
        details: { dns: fromPod.dns },
      };
}
