import type {
  HostDecision,
  HostVerb,
  PolicyCommand,
  PolicyFile,
  PolicyResource,
} from '../protocol/files/policy.ts';
import { POLICY_COMMANDS } from '../protocol/files/policy.ts';
import type { PolicyPreset } from '../protocol/files/policy-presets.ts';
import {
  CHANGE_GRANTS,
  COMMAND_GRANTS,
  type Grant,
  READ_GRANTS,
  READ_VERBS,
  SWITCH_GRANTS,
  SWITCHES,
  type Switch,
  WRITE_VERBS,
} from './grants.ts';
import type { PodSecurityLevel } from './pod-security/rules.ts';

export interface Preset {
  readonly summary: string;
  readonly commands: readonly PolicyCommand[];
  readonly grants: readonly Grant[];
  readonly switches: Readonly<Record<Switch, boolean>>;
  /** What root's helper does. */
  readonly host: readonly HostVerb[];
  /** What it does when a person has said yes. */
  readonly hostAsked: readonly HostVerb[];
}

const READING: readonly PolicyCommand[] = ['get_resources', 'logs'];
const ALL_OFF = {
  exec: false,
  attach: false,
  port_forward: false,
  'tunnel.kubernetes_api': false,
  'secrets.read': false,
  'secrets.write': false,
};

export const PRESETS: Readonly<Record<PolicyPreset, Preset>> = {
  'read-only': {
    summary: 'Look at everything but Secrets; change nothing',
    commands: READING,
    grants: READ_GRANTS,
    switches: ALL_OFF,
    host: ['restart_k3s', 'support_bundle'],
    hostAsked: [],
  },
  standard: {
    summary: 'Run applications outside kube-* and pipeops-system; Secrets are written, never read',
    commands: POLICY_COMMANDS.filter((type) => type !== 'exec'),
    grants: [...READ_GRANTS, ...CHANGE_GRANTS],
    switches: { ...ALL_OFF, 'secrets.write': true },
    host: ['snapshot', 'upgrade_agent', 'restart_k3s', 'support_bundle'],
    hostAsked: ['upgrade_k3s'],
  },
  operate: {
    summary:
      'That, and exec, attach, port-forward and reading Secrets outside kube-* and pipeops-system',
    commands: POLICY_COMMANDS,
    grants: [...READ_GRANTS, ...CHANGE_GRANTS],
    switches: {
      exec: true,
      attach: true,
      port_forward: true,
      'tunnel.kubernetes_api': false,
      'secrets.read': true,
      'secrets.write': true,
    },
    host: ['snapshot', 'upgrade_agent', 'restart_k3s', 'support_bundle'],
    hostAsked: ['upgrade_k3s'],
  },
};

/** Commands that root's helper carries out: each may run where one of these is allowed. */
export const COMMAND_HOST_VERBS: Readonly<Partial<Record<string, readonly HostVerb[]>>> = {
  snapshot: ['snapshot'],
  join_token: ['join_token', 'server_token'],
  upgrade_agent: ['upgrade_agent'],
  support_bundle: ['support_bundle'],
  upgrade_k3s: ['upgrade_k3s'],
};

/** Where a part of the policy was decided. */
export type RuleSource = PolicyPreset | 'file';

export interface EffectivePolicy {
  readonly file: PolicyFile;
  readonly preset: PolicyPreset;
  readonly commands: readonly PolicyCommand[];
  readonly switches: Readonly<
    Record<Switch, { readonly allowed: boolean; readonly source: RuleSource }>
  >;
  readonly host: Readonly<
    Record<HostVerb, { readonly decision: HostDecision; readonly source: RuleSource }>
  >;
  /** Whether the agent takes out the nodes of machines that have left. */
  readonly workersLeave: { readonly allowed: boolean; readonly source: RuleSource };
  readonly podSecurity: {
    readonly level: PodSecurityLevel;
    readonly source: RuleSource;
  };
  /** Everything that the agent's account may do, before namespaces are looked at. */
  readonly grants: readonly Grant[];
}

/** What a file (or the absence of one: `{}` through the schema) comes to. */
export function effectivePolicy(file: PolicyFile): EffectivePolicy {
  const preset = PRESETS[file.preset];
  const switched = (name: Switch) => {
    const inFile = switchInFile(file, name);
    return inFile === undefined
      ? { allowed: preset.switches[name], source: file.preset }
      : { allowed: inFile, source: 'file' as const };
  };
  const switches = {
    exec: switched('exec'),
    attach: switched('attach'),
    port_forward: switched('port_forward'),
    'tunnel.kubernetes_api': switched('tunnel.kubernetes_api'),
    'secrets.read': switched('secrets.read'),
    'secrets.write': switched('secrets.write'),
  };
  const host = hostVerbs(file, preset);
  const isOffered = (type: PolicyCommand) => {
    const verbs = COMMAND_HOST_VERBS[type];
    return type === 'exec'
      ? switches.exec.allowed
      : (verbs?.some((verb) => host[verb].decision !== 'deny') ?? preset.commands.includes(type));
  };
  const commands = POLICY_COMMANDS.filter(
    (type) =>
      isOffered(type) &&
      (file.commands.allow?.includes(type) ?? true) &&
      !file.commands.deny.includes(type),
  );
  return {
    file,
    preset: file.preset,
    commands,
    switches,
    host,
    workersLeave:
      file.workers.leave === undefined
        ? { allowed: true, source: file.preset }
        : { allowed: file.workers.leave, source: 'file' },
    podSecurity:
      file.pod_security === undefined
        ? { level: 'baseline', source: file.preset }
        : { level: file.pod_security, source: 'file' },
    grants: [
      ...preset.grants,
      ...COMMAND_GRANTS.filter((each) => each.commands.some((type) => commands.includes(type))).map(
        ({ grant }) => grant,
      ),
      ...SWITCHES.filter((name) => switches[name].allowed).flatMap((name) => SWITCH_GRANTS[name]),
      ...file.resources.map(resourceGrant),
    ],
  };
}

function hostVerbs(file: PolicyFile, preset: Preset): EffectivePolicy['host'] {
  const decided = (verb: HostVerb) => {
    const inFile = file.host[verb];
    return inFile === undefined
      ? {
          decision: decisionOfPreset(preset, verb),
          source: file.preset,
        }
      : { decision: inFile, source: 'file' as const };
  };
  return {
    snapshot: decided('snapshot'),
    join_token: decided('join_token'),
    server_token: decided('server_token'),
    upgrade_agent: decided('upgrade_agent'),
    restart_k3s: decided('restart_k3s'),
    support_bundle: decided('support_bundle'),
    upgrade_k3s: decided('upgrade_k3s'),
  };
}

function decisionOfPreset({ host, hostAsked }: Preset, verb: HostVerb): HostDecision {
  if (hostAsked.includes(verb)) {
    return 'ask';
  }
  return host.includes(verb) ? 'allow' : 'deny';
}

export function switchInFile(file: PolicyFile, name: Switch): boolean | undefined {
  switch (name) {
    case 'tunnel.kubernetes_api':
      return file.tunnel.kubernetes_api;
    case 'secrets.read':
      return file.secrets.read;
    case 'secrets.write':
      return file.secrets.write;
    default:
      return file[name];
  }
}

function resourceGrant({ group, resource, scope, write, verbs }: PolicyResource): Grant {
  return {
    group,
    resources: [resource],
    verbs: verbs ?? (write ? [...READ_VERBS, ...WRITE_VERBS] : READ_VERBS),
    cluster: scope === 'cluster',
  };
}
