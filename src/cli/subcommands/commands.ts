import { AgentError } from '../../core/errors.ts';
import { formatDuration } from '../../core/text/duration.ts';
import { visibleLine } from '../../core/text/visible.ts';
import type { CommandAnswer, CommandRow } from '../../protocol/local-commands.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

/** Of one answer of the daemon (protocol/local-queries.ts). */
const LIMIT_MAX = 500;
const STATES = ['accepted', 'running', 'done', 'delivered'] as const;
const ID = {
  name: 'ID',
  description: 'The id that "commands list" shows',
  required: true,
} as const;

export const commandsListSubcommand = defineSubcommand({
  name: 'commands list',
  description: 'Lists what the control plane asked for in the last 30 days, the newest first.',
  example: 'sudo pipeops-agent commands list --state running',
  flags: {
    state: {
      type: 'string',
      description:
        'Only those in this state; done: the control plane has not taken the result yet, delivered: it has',
      values: STATES,
      valueHint: 'STATE',
    },
    limit: {
      type: 'string',
      description: `How many, at most ${LIMIT_MAX}`,
      default: '20',
      valueHint: 'N',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const query = { limit: readLimit(flags.limit), state: readState(flags.state) };
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const answer = await askRoute(context, 'GET /api/commands', query);
    if (flags.json) {
      context.io.stdout(jsonDocument<'commands list'>({ commands: answer.items }));
      return 0;
    }
    if (answer.items.length === 0) {
      context.io.stderr('There are none\n');
      return 0;
    }
    const now = context.clock.now();
    const rows = answer.items.map((command) => listRow(command, now));
    context.io.stdout(
      renderTable([['ID', 'TYPE', 'STATE', 'ACCEPTED', 'TOOK'], ...rows], context.io.columns),
    );
    if (answer.next !== null) {
      context.io.stderr('There are more: --limit shows them\n');
    }
    return 0;
  },
});

export const commandsShowSubcommand = defineSubcommand({
  name: 'commands show',
  description: 'Shows one command of the control plane: what it does, or how it ended.',
  example: 'sudo pipeops-agent commands show 4f1c',
  flags: { json: JSON_FLAG },
  words: [ID],
  needsRoot: false,
  run: async (context, { flags, words }) => {
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const { renderTable } = await import('../terminal/render.ts');
    const command = await askRoute(context, 'GET /api/commands/{id}', { id: words.ID });
    context.io.stdout(
      flags.json
        ? jsonDocument<'commands show'>(command)
        : renderTable(showRows(command), context.io.columns) + endText(command),
    );
    return 0;
  },
});

export const commandsCancelSubcommand = defineSubcommand({
  name: 'commands cancel',
  description:
    'Asks a command of the control plane to stop. The control plane is told how it ended.',
  example: 'sudo pipeops-agent commands cancel 4f1c',
  flags: { json: JSON_FLAG },
  words: [ID],
  needsRoot: false,
  run: async (context, { flags, words }) => {
    const { askRoute } = await import('../../machine/ask-daemon.ts');
    const { outcome } = await askRoute(
      context,
      'POST /api/commands/{id}/cancel',
      { id: words.ID },
      0,
    );
    if (flags.json) {
      context.io.stdout(jsonDocument<'commands cancel'>({ id: words.ID, outcome }));
    } else {
      context.io.stderr(
        outcome === 'finished'
          ? 'It has ended already; nothing was changed\n'
          : `It stops. See how it ends: sudo pipeops-agent commands show ${visibleLine(words.ID)}\n`,
      );
    }
    return 0;
  },
});

function readLimit(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MAX) {
    throw new AgentError('USAGE', `Cannot use --limit "${text}"`, {
      hint: `Give a number from 1 to ${LIMIT_MAX}`,
    });
  }
  return limit;
}

function readState(text: string | undefined): (typeof STATES)[number] | undefined {
  const found = STATES.find((state) => state === text);
  if (text !== undefined && found === undefined) {
    throw new AgentError('USAGE', `Cannot use --state "${text}"`, {
      hint: `Give one of: ${STATES.join(', ')}`,
    });
  }
  return found;
}

function listRow(command: CommandRow, now: Date): readonly string[] {
  const { id, type, accepted_at: at } = command;
  return [id, type, stateText(command), `${since(at, now)} ago`, took(command, now)];
}

/** `running`, `running, stops`, `succeeded`, `failed, not delivered`. */
function stateText({ state, outcome, cancelled_at: cancelledAt }: CommandRow): string {
  if (outcome === null) {
    return cancelledAt === null ? state : `${state}, stops`;
  }
  return state === 'done' ? `${outcome}, not delivered` : outcome;
}

/** From its first beginning to its end, or to now; `-` before it begins. */
function took({ started_at: from, finished_at: to }: CommandRow, now: Date): string {
  return from === null ? '-' : since(from, to === null ? now : new Date(to));
}

function since(from: string, to: Date): string {
  return formatDuration(Math.max(0, to.getTime() - Date.parse(from)));
}

function showRows(command: CommandAnswer): readonly (readonly [string, string])[] {
  const { result } = command;
  const optional = (name: string, value: string | null | undefined) =>
    value == null || value === '' ? [] : [[name, value] as const];
  return [
    ['Command', command.id],
    ['Type', command.type],
    ...optional('About', command.target),
    ['State', stateText(command)],
    ['Accepted', command.accepted_at],
    ...optional('Begun', command.started_at),
    ...optional('Asked to stop', command.cancelled_at),
    ...optional('Ended', command.finished_at),
    ['Attempts', String(command.attempts)],
    ...optional('Doing', command.progress),
    ...optional('Error', result?.error && `${result.error} [${result.error_code ?? 'INTERNAL'}]`),
  ];
}

/** What it printed, line by line, each without what a terminal would obey. */
function endText({ result }: CommandAnswer): string {
  const output = result?.output.trimEnd() ?? '';
  return output === '' ? '' : `\n${output.split('\n').map(visibleLine).join('\n')}\n`;
}
