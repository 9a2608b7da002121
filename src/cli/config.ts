import { describeSettings } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { AgentError, expectedError } from '../core/errors.ts';
import { JSON_FLAG } from './common-flags.ts';
import type { CliContext } from './context.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';
import { configPathOf, loadEffectiveConfig } from './effective-config.ts';
import { renderTable } from './render.ts';
import { settingFlags } from './setting-flags.ts';

export const configShowSubcommand: SubcommandDefinition = {
  name: 'config show',
  description: 'Shows every setting, its value, and where the value came from.',
  example: 'pipeops-agent config show',
  flags: { ...settingFlags(), json: JSON_FLAG },
  positionals: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const rows = settingRows(await loadEffectiveConfig(context, flags));
    if (flags['json'] === true) {
      context.io.stdout(`${JSON.stringify({ settings: rows }, null, 2)}\n`);
    } else {
      context.io.stdout(
        renderTable(
          rows.map(({ setting, value, source }) => [
            setting,
            `${value === null ? '-' : JSON.stringify(value)}  (${source})`,
          ]),
        ),
      );
    }
    return 0;
  },
};

function settingRows({ config, sources }: LoadedConfig) {
  const values = config as unknown as Record<string, Record<string, unknown>>;
  return describeSettings().map(({ path }) => {
    const [section = '', name = ''] = path.split('.');
    return {
      setting: path,
      value: values[section]?.[name] ?? null,
      source: sources[path] ?? 'default',
    };
  });
}

export const configValidateSubcommand: SubcommandDefinition = {
  name: 'config validate',
  description: 'Checks the configuration and names every problem at once.',
  example: 'pipeops-agent config validate --config ./config.yaml',
  flags: settingFlags(),
  positionals: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const path = configPathOf(flags);
    const { config } = await loadEffectiveConfig(context, flags);
    if ((await context.files.stat(path)) === undefined) {
      throw new AgentError('NOT_FOUND', `There is no ${path} to check`, {
        hint: 'Name a file with --config; "install" writes the usual one',
      });
    }
    const problems = await fileProblems(context, config, path);
    if (problems.length > 0) {
      throw new AgentError(
        'CONFIG_INVALID',
        `The configuration has ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}:\n` +
          problems.map((problem) => `  - ${problem}`).join('\n'),
        { hint: `Correct ${path}, or the file that is named`, details: { problems } },
      );
    }
    context.io.stderr(`${path}: no problems\n`);
    return 0;
  },
};

/** What the daemon reads besides: the certificates, and the policy beside the configuration. */
async function fileProblems(
  context: CliContext,
  { control_plane: { ca_file } }: Config,
  configPath: string,
): Promise<readonly string[]> {
  const { dirname, join } = await import('node:path');
  const { readCaFile } = await import('../control-plane/ca-file.ts');
  const { readPolicyFile } = await import('../policy/read-policy-file.ts');
  const ca = ca_file === undefined ? undefined : await readCaFile(context.files, ca_file);
  const policy = await readPolicyFile(context, join(dirname(configPath), 'policy.yaml')).catch(
    expectedError,
  );
  return [
    ...(ca !== undefined && 'problem' in ca ? [`control_plane.ca_file: ${ca.problem}`] : []),
    ...(policy instanceof AgentError ? [`policy.yaml: ${policy.message}`] : []),
    ...(await hiddenFromDaemon(context, ca_file, configPath)),
  ];
}

/** Root reads everything, the daemon does not: of a draft only what it names has to be readable. */
async function hiddenFromDaemon(
  context: CliContext,
  caFile: string | undefined,
  configPath: string,
): Promise<readonly string[]> {
  const { unreadableForAgent } = await import('../host/agent-reads.ts');
  const { CONFIG_FILE, POLICY_FILE } = await import('../host/paths.ts');
  const problems: string[] = [];
  for (const path of [
    ...(configPath === CONFIG_FILE ? [CONFIG_FILE, POLICY_FILE] : []),
    ...(caFile === undefined ? [] : [caFile]),
  ]) {
    const isThere = path === caFile || (await context.files.stat(path)) !== undefined;
    const problem = isThere ? await unreadableForAgent(context, path) : undefined;
    if (problem !== undefined) {
      problems.push(path === caFile ? `control_plane.ca_file: ${problem}` : problem);
    }
  }
  return problems;
}
