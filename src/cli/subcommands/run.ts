import { settingFlags } from '../definition/setting-flags.ts';
import type { SubcommandDefinition } from '../definition/subcommand.ts';

export const runSubcommand: SubcommandDefinition = {
  name: 'run',
  description: 'Runs the daemon in the foreground. The systemd unit does this.',
  example: 'pipeops-agent run --log-level debug',
  flags: settingFlags(),
  positionals: [],
  needsRoot: false,
  run: async (context, args) => {
    const { loadEffectiveConfig, configPathOf } = await import('../../machine/effective-config.ts');
    const { runDaemon } = await import('../../daemon/compose.ts');
    const loaded = await loadEffectiveConfig(context, args.flags);
    await runDaemon(
      { ...context, write: context.io.stderr },
      loaded,
      configPathOf(args.flags),
      context.signal,
    );
    return 0;
  },
};
