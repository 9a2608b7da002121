import { formatDuration, parseDuration } from '../core/duration.ts';
import { AgentError } from '../core/errors.ts';
import { JSON_FLAG } from './common-flags.ts';
import type { SubcommandDefinition } from './define-subcommand.ts';

const TTL_DEFAULT = '15m';
const TTL_MS_MIN = 60_000;
const TTL_MS_MAX = 7 * 24 * 3_600_000;

export const tokenCreateSubcommand: SubcommandDefinition = {
  name: 'token create',
  description: 'Makes a token that lets another machine join this cluster.',
  example: 'sudo pipeops-agent token create --ttl 1h',
  flags: {
    ttl: {
      type: 'string',
      description: `How long it can be used (default ${TTL_DEFAULT})`,
      placeholder: 'DURATION',
    },
    role: { type: 'string', description: 'agent (default) or server', placeholder: 'ROLE' },
    yes: { type: 'boolean', description: 'Confirm a server token' },
    json: JSON_FLAG,
  },
  positionals: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const role = flags['role'] ?? 'agent';
    if (role !== 'agent' && role !== 'server') {
      throw new AgentError('USAGE', `There is no role "${role}"`, {
        hint: 'Use --role agent or --role server',
      });
    }
    if (role === 'server' && flags['yes'] !== true) {
      throw new AgentError(
        'USAGE',
        'A server token has no end, cannot be revoked and opens the whole cluster',
        { hint: 'If that is what you want, add --yes' },
      );
    }
    const ttlMs = readTtl(flags['ttl']);
    const { createServerToken, createWorkerToken } = await import('../host/join-tokens.ts');
    const created =
      role === 'server'
        ? await createServerToken(context)
        : await createWorkerToken(context, ttlMs);
    if (flags['json'] === true) {
      context.io.stdout(`${JSON.stringify({ ...created, role }, null, 2)}\n`);
      return 0;
    }
    context.io.stdout(`${created.token}\n`);
    context.io.stderr(
      `${created.id === null ? 'It has no end.' : `It ends in ${formatDuration(ttlMs)}.`}` +
        ' On the other machine: sudo pipeops-agent join --token-file FILE\n',
    );
    return 0;
  },
};

function readTtl(text: string | boolean | undefined): number {
  const ttlMs = parseDuration(typeof text === 'string' ? text : TTL_DEFAULT);
  if (ttlMs === undefined || ttlMs < TTL_MS_MIN || ttlMs > TTL_MS_MAX) {
    throw new AgentError('USAGE', `Cannot use --ttl "${String(text)}"`, {
      hint: 'Give a duration from 1m to 7d, such as 15m or 2h',
    });
  }
  return ttlMs;
}

export const tokenListSubcommand: SubcommandDefinition = {
  name: 'token list',
  description: 'Lists the join tokens of this cluster, never with their secret.',
  example: 'sudo pipeops-agent token list',
  flags: { json: JSON_FLAG },
  positionals: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { listJoinTokens } = await import('../host/join-tokens.ts');
    const tokens = await listJoinTokens(context);
    if (flags['json'] === true) {
      context.io.stdout(`${JSON.stringify({ tokens }, null, 2)}\n`);
      return 0;
    }
    const { renderTable } = await import('./render.ts');
    context.io.stdout(
      renderTable([
        ['ID', 'ENDS'],
        ...tokens.map(({ id, expires }) => [id, expires ?? 'never'] as const),
      ]),
    );
    return 0;
  },
};

export const tokenRevokeSubcommand: SubcommandDefinition = {
  name: 'token revoke',
  description: 'Ends a join token before its time. Machines that have joined stay.',
  example: 'sudo pipeops-agent token revoke 4f9c2a',
  flags: {},
  positionals: [{ name: 'ID', description: 'the id that "token list" shows', required: true }],
  needsRoot: true,
  run: async (context, { positionals }) => {
    const { revokeJoinToken } = await import('../host/join-tokens.ts');
    const id = positionals[0] ?? '';
    await revokeJoinToken(context, id);
    context.io.stderr(`Revoked the join token ${id}\n`);
    return 0;
  },
};
