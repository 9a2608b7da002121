import { AgentError } from '../../core/errors.ts';
import { formatDuration, parseDuration } from '../../core/text/duration.ts';
import { NO_MORE_SERVERS } from '../../machine/no-more-servers.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

const TTL_MS_MIN = 60_000;
const TTL_MS_MAX = 7 * 24 * 3_600_000;
const DESCRIPTION_LENGTH_MAX = 200;

/** README's line for the new machine. */
const JOIN_LINE =
  'curl -fsSL https://get.pipeops.dev/agent/install.sh | sudo sh -s -- join --token-file FILE';

export const tokenCreateSubcommand = defineSubcommand({
  name: 'token create',
  description: 'Makes a token that lets another machine join this cluster as a worker.',
  example: 'sudo pipeops-agent token create --ttl 1h --description "rack 2"',
  flags: {
    ttl: {
      type: 'string',
      description: 'How long it can be used',
      default: '15m',
      valueHint: 'DURATION',
    },
    description: {
      type: 'string',
      description: 'What it is for; "token list" shows it',
      valueHint: 'TEXT',
    },
    role: {
      type: 'string',
      description: 'What it lets a machine become; servers cannot join yet',
      default: 'agent',
      values: ['agent'],
      valueHint: 'ROLE',
    },
    yes: {
      type: 'boolean',
      default: false,
      description: 'Confirms a token of a server, which cannot be made yet',
      hidden: true,
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    checkRole(flags.role);
    const ttlMs = readTtl(flags.ttl);
    const description = readDescription(flags.description);
    const { createWorkerToken } = await import('../../host/cluster/join-tokens.ts');
    const created = await createWorkerToken(context, { ttlMs, description });
    if (flags.json) {
      context.io.stdout(`${JSON.stringify({ ...created, role: 'agent' }, null, 2)}\n`);
      return 0;
    }
    context.io.stdout(`${created.token}\n`);
    context.io.stderr(
      `Its id is ${created.id}. It ends in ${formatDuration(ttlMs)}; to end it before: ` +
        `sudo pipeops-agent token revoke ${created.id}\n` +
        `On the new machine, with the token in a file:\n  ${JOIN_LINE}\n`,
    );
    return 0;
  },
});

function checkRole(role: string): void {
  if (role === 'server') {
    throw new AgentError('USAGE', `There are no tokens of servers: ${NO_MORE_SERVERS}`, {
      hint: 'Add workers instead: sudo pipeops-agent token create',
    });
  }
  if (role !== 'agent') {
    throw new AgentError('USAGE', `There is no role "${role}"`, { hint: 'Use --role agent' });
  }
}

function readDescription(text: string | undefined): string | undefined {
  if (text === undefined || text.trim() === '') {
    return undefined;
  }
  if (text.length > DESCRIPTION_LENGTH_MAX || /\p{C}/u.test(text)) {
    throw new AgentError('USAGE', 'Cannot use that --description', {
      hint: `Give up to ${DESCRIPTION_LENGTH_MAX} characters on one line`,
    });
  }
  return text.trim();
}

function readTtl(text: string): number {
  const ttlMs = parseDuration(text);
  if (ttlMs === undefined || ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
    throw new AgentError('USAGE', `Cannot use --ttl "${text}"`, {
      hint: 'Give a duration from 1m to 7d, such as 15m or 2h',
    });
  }
  return ttlMs;
}

export const tokenListSubcommand = defineSubcommand({
  name: 'token list',
  description: 'Lists the join tokens of this cluster, never with their secret.',
  example: 'sudo pipeops-agent token list',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { listJoinTokens } = await import('../../host/cluster/join-tokens.ts');
    const tokens = await listJoinTokens(context);
    if (flags.json) {
      context.io.stdout(`${JSON.stringify({ tokens }, null, 2)}\n`);
      return 0;
    }
    const { renderTable } = await import('../terminal/render.ts');
    context.io.stdout(
      renderTable(
        [
          ['ID', 'ENDS', 'FOR'],
          ...tokens.map(({ id, expires, description }) => [id, expires ?? 'never', description]),
        ],
        context.io.columns,
      ),
    );
    return 0;
  },
});

export const tokenRevokeSubcommand = defineSubcommand({
  name: 'token revoke',
  description: 'Ends a join token before its time. Machines that have joined stay.',
  example: 'sudo pipeops-agent token revoke 4f9c2a',
  flags: {},
  words: [{ name: 'ID', description: 'the id that "token list" shows', required: true }],
  needsRoot: true,
  run: async (context, { words }) => {
    const { revokeJoinToken } = await import('../../host/cluster/join-tokens.ts');
    await revokeJoinToken(context, words.ID);
    context.io.stderr(`Revoked the join token ${words.ID}\n`);
    return 0;
  },
});
