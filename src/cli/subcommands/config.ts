import { AgentError } from '../../core/errors.ts';
import type { KnownSettings } from '../../machine/daemon-files.ts';
import {
  type ConfigFlags,
  configPathOf,
  loadEffectiveConfig,
  tellWarnings,
} from '../../machine/effective-config.ts';
import type { SettingRow } from '../../machine/settings-in-force.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderTable } from '../terminal/render.ts';

export const configShowSubcommand = defineSubcommand({
  name: 'config show',
  description:
    'Shows every setting, its value, where the value came from, and whether it is in force.',
  example: 'pipeops-agent config show',
  flags: { ...settingFlags(), json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { settingRows } = await import('../../machine/settings-in-force.ts');
    const loaded = await loadEffectiveConfig(context, flags);
    const rows = await settingRows(context, flags, loaded);
    if (flags.json) {
      const document = { settings: rows, warnings: loaded.warnings };
      context.io.stdout(jsonDocument<'config show'>(document));
      return 0;
    }
    context.io.stdout(
      renderTable(
        rows.map((row) => [row.setting, renderValue(row, rows)]),
        context.io.columns,
      ),
    );
    const silence = commonNote(rows);
    context.io.stderr(silence === undefined ? '' : `\nWhat is in force is not known: ${silence}\n`);
    context.io.stderr(
      loaded.warnings.length === 0 ? '' : `\n${tellWarnings(context, loaded, flags)}`,
    );
    return 0;
  },
});

function renderValue(row: SettingRow, rows: readonly SettingRow[]): string {
  const { value, source, note } = row;
  const remark = note === null || note === commonNote(rows) ? '' : `; ${note}`;
  return `${value === null ? '-' : JSON.stringify(value)}  (${source}${remark})`;
}

/** Why the agent's own settings are unknown: said once, not in each row. */
function commonNote(rows: readonly SettingRow[]): string | undefined {
  const row = rows.find(({ setting }) => setting === 'log.level');
  return row?.in_force === null ? (row.note ?? undefined) : undefined;
}

export const configValidateSubcommand = defineSubcommand({
  name: 'config validate',
  description:
    'Checks the configuration and the files that the agent reads beside it, and names every problem at once.',
  example: 'sudo pipeops-agent config validate',
  flags: settingFlags(),
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { checkDaemonFiles } = await import('../../machine/daemon-files.ts');
    const path = configPathOf(context, flags);
    const { known, problems: own, warnings } = await checkSettings(context, flags);
    if ((await context.files.stat(path)) === undefined) {
      throw new AgentError('NOT_FOUND', `There is no ${path} to check`, {
        hint: 'Name a file with --config; "install" writes the usual one',
      });
    }
    const files = await checkDaemonFiles(context, known, path);
    const problems = [...own, ...files.problems];
    if (problems.length > 0) {
      context.io.stderr(tellWarnings(context, { warnings }, flags));
      throw new AgentError(
        'CONFIG_INVALID',
        `The configuration has ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}:\n` +
          problems.map((problem) => `  - ${problem}`).join('\n'),
        { hint: `Correct ${path}, or the file that is named`, details: { problems, warnings } },
      );
    }
    const { unchecked } = files;
    const rest = unchecked.length === 0 ? '' : `; sudo checks ${unchecked.join(' and ')} too`;
    context.io.stderr(`${tellWarnings(context, { warnings }, flags)}${path}: no problems${rest}\n`);
    return 0;
  },
});

interface CheckedSettings {
  readonly known: KnownSettings;
  readonly problems: readonly string[];
  /** Keys that are not settings. */
  readonly warnings: readonly string[];
}

/** The problems of the settings, and what is known despite them. */
async function checkSettings(context: CliContext, flags: ConfigFlags): Promise<CheckedSettings> {
  try {
    const { config, warnings } = await loadEffectiveConfig(context, flags);
    const known = { caFile: config.control_plane.ca_file, role: config.agent.role };
    return { known, problems: [], warnings };
  } catch (thrown) {
    const { problems, warnings = [] } = (thrown instanceof AgentError ? thrown.details : {}) ?? {};
    if (!Array.isArray(problems)) {
      throw thrown; // It is not YAML, or cannot be read: nothing more is known.
    }
    const text = (await context.files.readText(configPathOf(context, flags))) ?? '';
    const known = settingsOfText(text);
    return { known, problems: problems.map(String), warnings: [warnings].flat().map(String) };
  }
}

/** The settings that decide about other files, as far as a file with problems can be read. */
function settingsOfText(text: string): KnownSettings {
  const file = (Bun.YAML.parse(text) ?? {}) as Record<string, Record<string, unknown> | null>;
  const caFile = file['control_plane']?.['ca_file'];
  return {
    caFile: typeof caFile === 'string' && caFile.startsWith('/') ? caFile : undefined,
    role: file['agent']?.['role'] === 'node' ? 'node' : 'server',
  };
}
