import { POLICY_COMMANDS, type PolicyFile } from '../protocol/policy-file.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { SWITCHES } from './grants.ts';

/** One line of `policy show`: the name is what a refusal carries. */
export interface PolicyRule {
  readonly rule: string;
  readonly meaning: string;
}

/** Every rule in force, those of the file first: they narrow what the preset has. */
export function describePolicy(effective: EffectivePolicy): readonly PolicyRule[] {
  const { file, preset, commands, switches, podSecurity } = effective;
  return [
    ...fileRules(file),
    { rule: `${preset}/commands`, meaning: commands.join(', ') || 'none' },
    { rule: `${preset}/resources`, meaning: 'kinds and verbs that these commands need' },
    {
      rule: `${preset}/protected-namespaces`,
      meaning: 'kube-* and pipeops-system: read only, and no Secrets',
    },
    ...SWITCHES.map((name) => ({
      rule: `${switches[name].source}/${name}`,
      meaning: switches[name].allowed ? 'allowed' : 'refused',
    })),
    {
      rule: `${podSecurity.source}/pod-security`,
      meaning:
        podSecurity.level === 'baseline'
          ? 'no pod that would be root on its node'
          : 'privileged pods are allowed: whoever deploys is root on the nodes',
    },
    {
      rule: 'proxy/path-form, proxy/query-form, proxy/method, proxy/non-resource',
      meaning: 'only requests that have one reading; beside objects: discovery, health, version',
    },
    { rule: 'proxy/impersonation', meaning: 'nobody acts as somebody else' },
  ];
}

function fileRules({ commands, namespaces, proxy, resources }: PolicyFile): readonly PolicyRule[] {
  return [
    ...denied('file/commands.deny', commands.deny),
    ...onlyThese('file/commands.allow', commands.allow),
    ...denied('file/namespaces.deny', namespaces.deny),
    ...onlyThese('file/namespaces.allow', namespaces.allow),
    ...(proxy.enabled ? [] : [{ rule: 'file/proxy.enabled', meaning: 'no proxied requests' }]),
    ...onlyThese('file/proxy.verbs', proxy.verbs),
    ...denied('file/proxy.paths.deny', proxy.paths.deny),
    ...onlyThese('file/proxy.paths.allow', proxy.paths.allow),
    ...resources.map(({ group, resource, write }, index) => ({
      rule: `file/resources[${index}]`,
      meaning: `${write ? 'read and write' : 'read'} ${[resource, group].filter(Boolean).join('.')}`,
    })),
  ];
}

function denied(rule: string, items: readonly string[]): readonly PolicyRule[] {
  return items.map((item, index) => ({ rule: `${rule}[${index}]`, meaning: `not ${item}` }));
}

function onlyThese(rule: string, items: readonly string[] | undefined): readonly PolicyRule[] {
  return items === undefined ? [] : [{ rule, meaning: `only ${items.join(', ') || 'nothing'}` }];
}

/** What `policy presets` compares: a row for each thing, a column for each preset. */
export function comparePresets(
  presets: readonly EffectivePolicy[],
): readonly (readonly [string, readonly boolean[]])[] {
  return [
    ...POLICY_COMMANDS.map(
      (type) => [type, presets.map(({ commands }) => commands.includes(type))] as const,
    ),
    ...SWITCHES.filter((name) => name !== 'exec').map(
      (name) => [name, presets.map(({ switches }) => switches[name].allowed)] as const,
    ),
    ['privileged pods', presets.map(({ podSecurity }) => podSecurity.level === 'privileged')],
    ['changes in kube-*, pipeops-system', presets.map(() => false)],
  ];
}
