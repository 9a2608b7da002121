import type { ConfigInput } from '../config/schema.ts';
import { UNIT_NAME } from '../core/places.ts';
import type { Http } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import { agentAccount } from '../host/agent/account.ts';
import { agentConfig } from '../host/agent/config.ts';
import { controlPlaneCa } from '../host/agent/control-plane-ca.ts';
import { controlPlaneToken, proxyCredentials } from '../host/agent/control-plane-token.ts';
import { executableSwitch, placeExecutable, pruneVersions } from '../host/agent/executable.ts';
import { agentKubeconfig, agentPermissions } from '../host/agent/kubeconfig.ts';
import { policyFile } from '../host/agent/policy-file.ts';
import { type AgentExpectation, waitForAgent } from '../host/agent/ready.ts';
import { agentUnit, startAgent } from '../host/agent/service.ts';
import { joinedServer } from '../host/cluster/joined-server.ts';
import type { HostInventory } from '../host/engine/inventory.ts';
import type { Step } from '../host/engine/steps.ts';
import { unitWatch } from '../host/engine/unit-watch.ts';
import { type K3sPlan, k3sSteps } from '../host/k3s/steps.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import { askDaemon, askSession } from './ask-daemon.ts';
import type { MachineContext } from './context.ts';
import { KUBERNETES_ACCOUNT, permissionsManifest } from './kubernetes-account.ts';

export interface MachinePlan {
  readonly k3s: K3sPlan;
  /** The way to what k3s is fetched from. */
  readonly downloads: Http;
  /** What the agent's configuration file shall hold. */
  readonly config: ConfigInput;
  /** What the person is told in the end, and the running agent must say itself. */
  readonly expected: Omit<AgentExpectation, 'version'>;
  /**
   * What the control plane may do here. A machine with one speaks for its cluster: it gets
   * credentials of its own in Kubernetes.
   */
  readonly policy: PolicyFile | undefined;
  /** PEM, when the control plane has a certificate of a private authority. */
  readonly controlPlaneCa: string | undefined;
  /** A new control-plane token; undefined leaves what is there. */
  readonly controlPlaneToken: string | undefined;
  /** `user:password` of the proxy to the control plane; undefined leaves what is there. */
  readonly proxyCredentials: string | undefined;
}

/** Every step from a bare machine to a ready agent, in order. */
export function machineSteps(
  context: MachineContext,
  inventory: HostInventory,
  plan: MachinePlan,
): readonly Step[] {
  const { signal } = context;
  const watch = unitWatch(context, UNIT_NAME);
  const daemon = {
    health: () => askDaemon(context, 0),
    tryNow: async () => (await askSession(context)) ?? 'it does so by itself',
  };
  const expected = { ...plan.expected, version: BUILD.version };
  const takeOver = executableSwitch(context, BUILD.version);
  return [
    placeExecutable(context, inventory, {
      version: BUILD.version,
      runningFrom: context.execPath,
    }),
    ...k3sSteps({ ...context, http: plan.downloads }, inventory, plan.k3s, signal),
    agentAccount(context, inventory),
    ...(plan.controlPlaneCa === undefined ? [] : [controlPlaneCa(context, plan.controlPlaneCa)]),
    agentConfig(context, plan.config),
    ...(plan.k3s.role === 'agent'
      ? [joinedServer(context, String(plan.k3s.config['server']))]
      : []),
    ...(plan.controlPlaneToken === undefined
      ? []
      : [controlPlaneToken(context, inventory, plan.controlPlaneToken)]),
    ...(plan.proxyCredentials === undefined
      ? []
      : [proxyCredentials(context, inventory, plan.proxyCredentials)]),
    ...(plan.policy === undefined
      ? []
      : [
          agentPermissions(context, KUBERNETES_ACCOUNT, permissionsManifest(plan.policy)),
          policyFile(context, plan.policy.preset),
          agentKubeconfig(context, KUBERNETES_ACCOUNT),
        ]),
    agentUnit(context, inventory),
    takeOver.step,
    // Tokens and certificates it takes up by itself.
    startAgent(context, watch, [BUILD.version, JSON.stringify(plan.config, inOrder)], takeOver),
    waitForAgent({ ...context, daemon, watch }, expected, signal),
    pruneVersions(context, BUILD.version),
  ];
}

/** For JSON.stringify: the same text for the same settings, in whatever order they came. */
function inOrder(_: string, value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
}
