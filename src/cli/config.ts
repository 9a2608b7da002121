import { describeSettings } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import { JSON_FLAG } from './common-flags.ts';
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
    await loadEffectiveConfig(context, flags);
    context.io.stderr(`${configPathOf(flags)}: no problems\n`);
    return 0;
  },
};
