import { AgentError } from '../../core/errors.ts';
import { K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import type { PolicyTakenUp } from '../../machine/wait-for-policy.ts';
import type { PolicyFile } from '../../protocol/files/policy.ts';
import { POLICY_PRESETS } from '../../protocol/files/policy-presets.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderTable } from '../terminal/render.ts';

/** Sentences are for people, also through a pager; programs use --json. */
const TEXT_COLUMNS = 80;

export const policyShowSubcommand = defineSubcommand({
  name: 'policy show',
  description: 'Shows what the control plane and the proxy may do here, and which rule says so.',
  example: 'sudo pipeops-agent policy show',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { readPolicyFile } = await import('../../policy/read-file.ts');
    const { effectivePolicy } = await import('../../policy/effective.ts');
    const { describePolicy } = await import('../../policy/describe.ts');
    const hasFile = (await context.files.stat(context.places.policyFile)) !== undefined;
    const effective = effectivePolicy(await readPolicyFile(context, context.places.policyFile));
    const rules = describePolicy(effective);
    const { preset } = effective;
    if (flags.json) {
      const file = hasFile ? context.places.policyFile : null;
      context.io.stdout(jsonDocument<'policy show'>({ preset, file, rules }));
      return 0;
    }
    context.io.stdout(
      renderTable(
        [
          ['preset', hasFile ? preset : `${preset} (there is no ${context.places.policyFile})`],
          ...rules.map(({ rule, meaning }) => [rule, meaning] as const),
        ],
        context.io.columns ?? TEXT_COLUMNS,
      ),
    );
    return 0;
  },
});

export const policyPresetsSubcommand = defineSubcommand({
  name: 'policy presets',
  description: 'Shows what each preset allows.',
  example: 'pipeops-agent policy presets',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { effectivePolicy, PRESETS } = await import('../../policy/effective.ts');
    const { comparePresets } = await import('../../policy/describe.ts');
    const { policyOfPreset } = await import('../../machine/policy-preset.ts');
    const rows = comparePresets(
      POLICY_PRESETS.map((name) => effectivePolicy(policyOfPreset(name))),
    );
    if (flags.json) {
      const presets = POLICY_PRESETS.map((name, column) => ({
        name,
        summary: PRESETS[name].summary,
        allows: Object.fromEntries(rows.map(([what, allowed]) => [what, allowed[column] === true])),
      }));
      context.io.stdout(jsonDocument<'policy presets'>({ presets }));
      return 0;
    }
    const cells = (words: readonly string[]) =>
      words.map((word, column) => word.padEnd(POLICY_PRESETS[column]?.length ?? 0)).join('  ');
    context.io.stdout(
      renderTable(
        [
          ['', cells(POLICY_PRESETS)],
          ...rows.map(
            ([what, allowed]) => [what, cells(allowed.map((yes) => (yes ? 'yes' : '-')))] as const,
          ),
        ],
        undefined,
      ),
    );
    context.io.stdout(
      `\n${renderTable(
        POLICY_PRESETS.map((name) => [name, PRESETS[name].summary] as const),
        context.io.columns ?? TEXT_COLUMNS,
      )}`,
    );
    return 0;
  },
});

const IN_FORCE: Readonly<Record<PolicyTakenUp, string>> = {
  now: 'The policy is in force',
  soon: 'The policy is in force in a few seconds',
  'at its start': 'The agent does not run; the policy is in force when it starts',
};

export const policyApplySubcommand = defineSubcommand({
  name: 'policy apply',
  description:
    'Puts a policy in force: the file that the agent reads, and the permissions of its account in Kubernetes. All or nothing, without a restart; the agent keeps to it when this ends.',
  example: 'sudo pipeops-agent policy apply --preset operate',
  flags: {
    preset: {
      type: 'string',
      description: 'read-only, standard or operate, without anything of your own',
      valueHint: 'PRESET',
      values: POLICY_PRESETS,
    },
    file: { type: 'string', description: 'A policy file (docs/POLICY.md)', valueHint: 'FILE' },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { changePolicy } = await import('../../host/agent/policy-file.ts');
    const { permissionsManifest } = await import('../../machine/kubernetes-account.ts');
    const { otherServers } = await import('../../machine/other-servers.ts');
    const { waitForPolicy } = await import('../../machine/wait-for-policy.ts');
    const { path, text, policy } = await wantedPolicy(context, flags);
    if ((await context.files.stat(K3S_SERVER_CA_FILE)) === undefined) {
      throw new AgentError('NOT_A_SERVER', 'This machine is not a server of a cluster', {
        hint: 'Run this on the machine that was set up with: pipeops-agent install',
      });
    }
    const previous = await policyInForce(context);
    const backup = await changePolicy(context, {
      text,
      manifest: permissionsManifest(policy),
      previousManifest: previous === undefined ? undefined : permissionsManifest(previous),
    });
    const when = await waitForPolicy(context);
    const others = await otherServers(context);
    if (flags.json) {
      const document = {
        preset: policy.preset,
        file: path ?? null,
        previous_preset: previous?.preset ?? null,
        previous_file_kept_as: backup ?? null,
        in_force: when === 'now',
        other_servers: others,
      };
      context.io.stdout(jsonDocument<'policy apply'>(document));
    } else {
      const what =
        path === undefined
          ? `preset ${policy.preset}`
          : `${path}, on top of preset ${policy.preset}`;
      const kept = backup === undefined ? '' : `The one before is kept as ${backup}\n`;
      const elsewhere =
        others.length === 0
          ? ''
          : `Apply it on the other servers, too: ${others.join(', ')}. Until then the stricter of both policies counts there\n`;
      context.io.stderr(`${IN_FORCE[when]}: ${what}\n${kept}${elsewhere}`);
    }
    return 0;
  },
});

/** @throws AgentError USAGE, POLICY_INVALID, FILE_ACCESS */
async function wantedPolicy(
  context: CliContext,
  { preset, file }: { readonly preset?: string; readonly file?: string },
): Promise<{ readonly path?: string; readonly text: string; readonly policy: PolicyFile }> {
  if (preset !== undefined && file === undefined) {
    const { presetFileText } = await import('../../host/agent/policy-file.ts');
    const { policyOfPreset } = await import('../../machine/policy-preset.ts');
    const policy = policyOfPreset(preset);
    return { text: presetFileText(context.places, policy.preset), policy };
  }
  if (file === undefined || preset !== undefined) {
    throw new AgentError('USAGE', 'Give either --preset or --file', {
      hint: 'What there is: pipeops-agent policy presets',
    });
  }
  const { parsePolicyFile } = await import('../../policy/read-file.ts');
  const { POLICY_FILE_LIMIT_BYTES } = await import('../../protocol/files/policy.ts');
  const text = await context.files.readText(file, POLICY_FILE_LIMIT_BYTES);
  if (text === undefined) {
    throw new AgentError('USAGE', `There is no file ${file}`, { hint: 'Check the path' });
  }
  return { path: file, text, policy: parsePolicyFile(text, file) };
}

/**
 * Undefined where the file cannot be used: then no policy is in force, and there is none to go back
 * to.
 */
async function policyInForce(context: CliContext): Promise<PolicyFile | undefined> {
  const { readPolicyFile } = await import('../../policy/read-file.ts');
  try {
    return await readPolicyFile(context, context.places.policyFile);
  } catch (thrown) {
    if (thrown instanceof AgentError && thrown.code === 'POLICY_INVALID') {
      return undefined;
    }
    throw thrown;
  }
}
