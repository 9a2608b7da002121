import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

export const dashboardSubcommand = defineSubcommand({
  name: 'dashboard',
  description:
    'Prints a link that opens the page of this agent in a browser. It works once, within 5 minutes; who has opened it stays signed in.',
  example: 'sudo pipeops-agent dashboard',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const link = await askRoute(context, 'POST /api/dashboard/links', {});
    if (flags.json) {
      context.io.stdout(jsonDocument<'dashboard'>(link));
      return 0;
    }
    const { port } = new URL(link.url);
    const [address = context.hostname] = context.addresses();
    context.io.stdout(`${link.url}\n`);
    context.io.stderr(
      'Open it within 5 minutes in a browser on this machine. From another computer, run this there first,\n' +
        'and open the link there:\n' +
        `  ssh -N -L ${port}:127.0.0.1:${port} ${address}\n`,
    );
    return 0;
  },
});
