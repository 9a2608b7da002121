import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

export const runSubcommand = defineSubcommand({
  name: 'run',
  description: 'Runs the daemon in the foreground. The systemd unit does this.',
  example: 'pipeops-agent run --log-level debug',
  flags: settingFlags(),
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { loadEffectiveConfig, configPathOf } = await import('../../machine/effective-config.ts');
    const { runDaemon } = await import('../../daemon/compose.ts');
    const loaded = await loadEffectiveConfig(context, flags);
    await runDaemon(
      {
        ...context,
        write: context.io.stderr,
        lookAtMachine: async (signal) => {
          const { lookAround } = await import('../../machine/look-around.ts');
          return lookAround({ ...context, signal }, loaded.config);
        },
      },
      loaded,
      configPathOf(context, flags),
      context.signal,
    );
    return 0;
  },
});
