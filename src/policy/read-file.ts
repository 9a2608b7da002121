import type { z } from 'zod';
import { AgentError, messageOf } from '../core/errors.ts';
import type { Files } from '../core/ports.ts';
import { didYouMean } from '../core/text/did-you-mean.ts';
import { issueWords } from '../core/text/issue-words.ts';
import { duplicateKeys, lineOf, type YamlKey, yamlKeys } from '../core/text/yaml-keys.ts';
import {
  HOST_VERBS,
  POLICY_COMMANDS,
  POLICY_FILE_LIMIT_BYTES,
  PolicyFile,
} from '../protocol/files/policy.ts';
import { POLICY_PRESETS } from '../protocol/files/policy-presets.ts';
import { COMMAND_HOST_VERBS, effectivePolicy, switchInFile } from './effective.ts';
import { SWITCHES } from './grants.ts';
import { isNeverGranted } from './never.ts';
import { isProtectedNamespace } from './protected.ts';

/** Bits of a mode that let others than the owner write. */
const WRITABLE_BY_OTHERS = 0o022;

/** Keys of the file, dotted, for suggestions. */
const KEYS = [
  ...Object.keys(PolicyFile.shape),
  'commands.allow',
  'commands.deny',
  'namespaces.allow',
  'namespaces.deny',
  'proxy.enabled',
  'proxy.verbs',
  'proxy.paths',
  'proxy.paths.allow',
  'proxy.paths.deny',
  'secrets.read',
  'secrets.write',
  'resources.group',
  'resources.resource',
  'resources.scope',
  'resources.write',
  'resources.verbs',
  'tunnel.kubernetes_api',
  ...HOST_VERBS.flatMap((verb) => [`host.${verb}`, `windows.${verb}`]),
];

/**
 * The policy of this machine; the preset `standard` where there is no file.
 * @throws AgentError POLICY_INVALID with every problem; FILE_ACCESS
 */
export async function readPolicyFile(
  deps: { readonly files: Files },
  path: string,
): Promise<PolicyFile> {
  return parsePolicyFile(await readPolicyText(deps, path), path);
}

/**
 * What stands in it; empty where there is no file.
 * @throws AgentError POLICY_INVALID where others can write to it; FILE_ACCESS
 */
export async function readPolicyText(
  deps: { readonly files: Files },
  path: string,
): Promise<string> {
  const stat = await deps.files.stat(path);
  if (stat !== undefined && stat.kind === 'file' && (stat.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw invalid(path, ['others than its owner can write to it']);
  }
  return (await deps.files.readText(path, POLICY_FILE_LIMIT_BYTES)) ?? '';
}

/**
 * @param path for messages
 * @throws AgentError POLICY_INVALID with every problem at once, in `details.problems` too
 */
export function parsePolicyFile(text: string, path: string): PolicyFile {
  let raw: unknown;
  try {
    raw = Bun.YAML.parse(text) ?? {};
  } catch (cause) {
    throw invalid(path, [`not YAML: ${messageOf(cause)}`]);
  }
  const twice = duplicateKeys(text);
  if (twice.length > 0) {
    throw invalid(path, twice);
  }
  const parsed = PolicyFile.safeParse(raw, { error: issueWords });
  if (!parsed.success) {
    throw invalid(
      path,
      parsed.error.issues.flatMap((issue) => describeIssue(issue, yamlKeys(text))),
    );
  }
  const problems = contradictions(parsed.data);
  if (problems.length > 0) {
    throw invalid(path, problems);
  }
  return parsed.data;
}

function describeIssue(issue: z.core.$ZodIssue, keys: readonly YamlKey[]): readonly string[] {
  const at = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const section = issue.path.filter((part) => typeof part === 'string').join('.');
    return issue.keys.map((key) => {
      const known = KEYS.filter((each) => sectionOf(each) === section).map(lastWord);
      const line = lineOf(keys, section === '' ? key : `${section}.${key}`);
      return `${line}${at === '' ? key : `${at}.${key}`}: is not a key${suggest(key, known)}`;
    });
  }
  if (at === 'preset' || at.startsWith('commands.')) {
    const known = at === 'preset' ? POLICY_PRESETS : POLICY_COMMANDS;
    return [`${at}: must be one of ${known.join(', ')}`];
  }
  return [`${at || 'file'}: ${issue.message}`];
}

function sectionOf(key: string): string {
  return key.split('.').slice(0, -1).join('.');
}

function lastWord(key: string): string {
  return key.split('.').at(-1) ?? key;
}

function suggest(word: string, known: readonly string[]): string {
  const suggestion = didYouMean(word, known);
  return suggestion === undefined ? '' : `, did you mean "${suggestion}"?`;
}

/** Keys that are each valid, but contradict each other, or ask for what is never allowed. */
function contradictions(file: PolicyFile): readonly string[] {
  const possible = effectivePolicy({ ...file, commands: { deny: [] } }).commands;
  return [
    ...(file.commands.allow ?? [])
      .filter((type) => !possible.includes(type))
      .map((type) =>
        type === 'exec'
          ? `commands.allow: "exec" needs exec: true`
          : Object.hasOwn(COMMAND_HOST_VERBS, type)
            ? `commands.allow: "${type}" needs host: {${type}: allow}`
            : `commands.allow: preset ${file.preset} does not allow "${type}"`,
      ),
    ...(file.namespaces.allow ?? [])
      .filter(isProtectedNamespace)
      .map((namespace) => `namespaces.allow: "${namespace}" is always protected`),
    ...file.resources.flatMap(({ group, resource, write, verbs }, index) => [
      ...(isNeverGranted(group, resource)
        ? [`resources.${index}: "${[resource, group].filter(Boolean).join('.')}" is never allowed`]
        : []),
      ...(write && verbs !== undefined
        ? [`resources.${index}: give write or verbs, not both`]
        : []),
    ]),
    ...SWITCHES.filter((name) => !['secrets.read', 'tunnel.kubernetes_api'].includes(name))
      .filter((name) => file.preset === 'read-only' && switchInFile(file, name) === true)
      .map((name) => `${name}: preset read-only changes nothing`),
  ];
}

function invalid(path: string, problems: readonly string[]): AgentError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return new AgentError(
    'POLICY_INVALID',
    `The policy has ${count}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    {
      hint: `Correct ${path} as docs/POLICY.md says, then: sudo pipeops-agent policy apply --file ${path}`,
      details: { problems },
    },
  );
}
