import { AgentError } from '../../core/errors.ts';
import { isCidr } from '../../core/ip-range.ts';
import { formatDuration, parseDuration } from '../../core/text/duration.ts';
import type { JoinTokenEntry } from '../../host/cluster/join-tokens.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

const TTL_MS_MIN = 60_000;
const TTL_MS_MAX = 7 * 24 * 3_600_000;
const DESCRIPTION_LENGTH_MAX = 200;
const SERVE_PORT = 8444;
const USES_MAX = 1_000;
const NETWORKS_MAX = 8;
const NODE_PATTERN = /^[a-z0-9*]([-a-z0-9.*]{0,61}[a-z0-9*])?$/;

export const tokenCreateSubcommand = defineSubcommand({
  name: 'token create',
  description:
    'Makes a token that lets another machine join this cluster, as a worker or a server.',
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
    uses: {
      type: 'string',
      description: 'How many machines may join with it; 0: any number until it ends',
      default: '1',
      valueHint: 'N',
    },
    'node-name': {
      type: 'string',
      description: 'The name that a node may take with it; * stands for any characters',
      valueHint: 'NAME',
    },
    from: {
      type: 'string',
      description: 'The network from which a machine may come: 10.0.0.0/8',
      valueHint: 'CIDR',
      repeatable: true,
    },
    serve: {
      type: 'boolean',
      default: false,
      description:
        'Offer program, k3s and install.sh from this server while the token lives: the machine needs no internet',
    },
    'serve-port': {
      type: 'string',
      description: `Where --serve listens (default ${SERVE_PORT})`,
      valueHint: 'PORT',
    },
    role: {
      type: 'string',
      description: 'What it lets a machine become: a worker (agent), or a further server',
      default: 'agent',
      values: ['agent', 'server'],
      valueHint: 'ROLE',
    },
    yes: {
      type: 'boolean',
      default: false,
      description: 'With --role server: do not ask',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const role = readRole(flags.role);
    const options = {
      role,
      ttlMs: readTtl(flags.ttl),
      description: readDescription(flags.description),
      uses: readUses(flags.uses),
      node: readNodePattern(flags['node-name']),
      from: readNetworks(flags.from),
      servePort: readServePort(flags.serve, flags['serve-port']),
    };
    if (role === 'server') {
      refuseForServers(options);
      await confirmServer(context, flags.yes);
    }
    const { createJoinToken } = await import('../../machine/tokens/create.ts');
    const created = await createJoinToken(context, options);
    if (flags.json) {
      context.io.stdout(jsonDocument<'token create'>(created));
      return 0;
    }
    context.io.stdout(`${created.token}\n`);
    const { id, line, serve } = created;
    context.io.stderr(
      (role === 'server' ? SERVER_WARNING : '') +
        `Its id is ${id}. It ends in ${formatDuration(options.ttlMs)}${untilUsed(options.uses)}; ` +
        `to end it before: sudo pipeops-agent token delete ${id}\n` +
        (serve === null
          ? ''
          : `As long, this server offers all that is needed at ${serve.address}: that port must be ` +
            `reachable (${serve.unit}).\n`) +
        `Paste this one line on the new machine, as who may use sudo:\n\n${line}\n\n`,
    );
    return 0;
  },
});

function untilUsed(uses: number): string {
  return uses === 0 ? '' : uses === 1 ? ', or when a node has joined' : `, or after ${uses} nodes`;
}

/** k3s' own token of servers has no end (docs.k3s.io, "k3s token"). */
const SERVER_WARNING =
  'This token is worth the whole cluster: it holds the token of its servers, which k3s never ends. ' +
  'Keep it nowhere, and delete the file on the new machine. pipeops-agent itself takes it only until its end:\n';

function readRole(role: string): 'agent' | 'server' {
  // k3s says "agent", people say "worker".
  if (role === 'agent' || role === 'worker') {
    return 'agent';
  }
  if (role === 'server') {
    return 'server';
  }
  throw new AgentError('USAGE', `There is no role "${role}"`, {
    hint: 'Use --role agent, or --role server',
  });
}

function refuseForServers({ uses }: { readonly uses: number }): void {
  if (uses !== 1) {
    throw new AgentError('USAGE', 'Servers join one at a time: their token is for one use', {
      hint: 'Leave out --uses, and make a token for each server once the one before is Ready',
    });
  }
}

async function confirmServer({ io }: CliContext, yes: boolean): Promise<void> {
  const question = 'Make a token that is worth the whole cluster, and show it here?';
  if (!yes && (await io.confirm(question)) !== true) {
    throw new AgentError('USAGE', 'No token was made: it was not confirmed', {
      hint: 'Answer y, or give --yes. For a worker: sudo pipeops-agent token create',
    });
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

function readUses(text: string): number {
  const uses = Number(text);
  if (!/^\d{1,4}$/.test(text) || uses > USES_MAX) {
    throw new AgentError('USAGE', `Cannot use --uses "${text}"`, {
      hint: `Give a number up to ${USES_MAX}; 0 for any number of machines until the token ends`,
    });
  }
  return uses;
}

/** @returns undefined where nothing is to be served */
function readServePort(serves: boolean, text: string | undefined): number | undefined {
  if (!serves && text !== undefined) {
    throw new AgentError('USAGE', '--serve-port is of no use without --serve', {
      hint: 'Add --serve, or leave it out',
    });
  }
  return serves ? readPort(text ?? String(SERVE_PORT)) : undefined;
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new AgentError('USAGE', `Cannot use --serve-port "${text}"`, {
      hint: 'Give a number from 1 to 65535',
    });
  }
  return port;
}

function readNodePattern(text: string | undefined): string | undefined {
  if (text !== undefined && !NODE_PATTERN.test(text)) {
    throw new AgentError('USAGE', 'Cannot use that --node-name', {
      hint: 'Give the name of a node, such as worker-1, or a pattern, such as rack2-*',
    });
  }
  return text;
}

function readNetworks(text: string | undefined): readonly string[] {
  const networks = text === undefined ? [] : text.split(',').map((each) => each.trim());
  if (networks.length > NETWORKS_MAX || !networks.every(isCidr)) {
    throw new AgentError('USAGE', 'Cannot use that --from', {
      hint: `Give up to ${NETWORKS_MAX} networks or addresses, such as 10.0.0.0/8`,
    });
  }
  return networks;
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
      context.io.stdout(jsonDocument<'token list'>({ tokens }));
      return 0;
    }
    const { renderTable } = await import('../terminal/render.ts');
    context.io.stdout(
      renderTable(
        [
          ['ID', 'ROLE', 'ENDS', 'USES', 'BOUND TO', 'FOR'],
          ...tokens.map((token) => [
            token.id,
            token.role === 'server' ? 'server' : 'worker',
            token.expires ?? 'never',
            usesOf(token),
            [token.node, ...token.from].filter((each) => each !== null).join(', ') || '-',
            token.description,
          ]),
        ],
        context.io.columns,
      ),
    );
    return 0;
  },
});

/** `0 of 1`: of a token that nobody has limited, only how many have joined with it. */
function usesOf({ uses, used_by: usedBy }: JoinTokenEntry): string {
  return uses === null || uses === 0 ? `${usedBy.length}` : `${usedBy.length} of ${uses}`;
}

/** Run by the unit that "token create --serve" starts. */
export const tokenServeSubcommand = defineSubcommand({
  name: 'token serve',
  description: 'Offers what machines need to join, until the token ends. Its own unit does this.',
  example: 'pipeops-agent token serve',
  flags: {},
  words: [],
  needsRoot: false,
  run: async (context) => {
    const { serveOffer } = await import('../../machine/tokens/serve.ts');
    await serveOffer(context);
    return 0;
  },
});

/** The same under both names: other tools call it either way. */
function endingSubcommand(name: 'token delete' | 'token revoke') {
  return defineSubcommand({
    name,
    description: 'Ends a join token before its time. Machines that have joined stay.',
    example: `sudo pipeops-agent ${name} 4f9c2a`,
    flags: { json: JSON_FLAG },
    words: [{ name: 'ID', description: 'The id that "token list" shows', required: true }],
    needsRoot: true,
    run: async (context, { flags, words }) => {
      const { revokeJoinToken } = await import('../../host/cluster/join-tokens.ts');
      await revokeJoinToken(context, words.ID);
      if (flags.json) {
        context.io.stdout(jsonDocument<'token delete'>({ deleted: words.ID }));
      } else {
        context.io.stderr(`Ended the join token ${words.ID}\n`);
      }
      return 0;
    },
  });
}

export const tokenDeleteSubcommand = endingSubcommand('token delete');
export const tokenRevokeSubcommand = endingSubcommand('token revoke');
