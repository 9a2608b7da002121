import { defineSubcommand } from '../definition/subcommand.ts';

/** Run by pipeops-agent-helper@.service, one process for each connection. */
export const helperServeSubcommand = defineSubcommand({
  name: 'helper serve',
  description:
    'Answers one request of the daemon that needs root. systemd starts it when there is one.',
  example: 'pipeops-agent helper serve',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { serveHelper } = await import('../../machine/helper/serve.ts');
    await serveHelper(context, await context.handedConnection());
    return 0;
  },
});
