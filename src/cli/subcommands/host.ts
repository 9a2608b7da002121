import type { AskedEntry } from '../../protocol/files/asked.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderTable } from '../terminal/render.ts';

export const hostAskedSubcommand = defineSubcommand({
  name: 'host asked',
  description:
    'Shows what the control plane has asked for within a day, and the policy leaves to a person.',
  example: 'sudo pipeops-agent host asked',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { readAsked } = await import('../../machine/helper/approval.ts');
    const asked = await readAsked(context);
    if (flags.json) {
      context.io.stdout(jsonDocument<'host asked'>({ asked }));
      return 0;
    }
    if (asked.length === 0) {
      context.io.stderr('Nothing was asked for\n');
      return 0;
    }
    const rows = asked.map(({ id, at, request, decision }) => {
      return [id, at, decision ?? 'waits', whatOf(request)];
    });
    context.io.stdout(renderTable([['ID', 'ASKED', 'STATE', 'FOR'], ...rows], context.io.columns));
    return 0;
  },
});

export const hostApproveSubcommand = decidingSubcommand('approve', 'approved');
export const hostRefuseSubcommand = decidingSubcommand('refuse', 'refused');

function decidingSubcommand(word: 'approve' | 'refuse', decision: 'approved' | 'refused') {
  const name = `host ${word}` as const;
  return defineSubcommand({
    name,
    description:
      word === 'approve'
        ? 'Lets the agent do what the control plane has asked for, this once.'
        : 'Refuses what the control plane has asked for.',
    example: `sudo pipeops-agent ${name} 4f9c2a1b`,
    flags: { json: JSON_FLAG },
    words: [{ name: 'ID', description: 'The id that "host asked" shows', required: true }],
    needsRoot: true,
    run: async (context, { flags, words }) => {
      const { decideAsked } = await import('../../machine/helper/approval.ts');
      const decided = await decideAsked(context, words.ID, decision);
      if (flags.json) {
        context.io.stdout(jsonDocument<'host approve'>(decided));
      } else {
        context.io.stderr(`You have ${decision}: ${whatOf(decided.request)}\n`);
      }
      return 0;
    },
  });
}

/**
 * `mint_join_token: role agent, ttl_seconds 900, command_id "42"`. The control plane chooses the id: it stands last,
 * and in quotes, so that it does not look like something else. Which server wanted a person to be asked is left out.
 */
function whatOf({ verb, command_id: commandId, ask: _, ...fields }: AskedEntry['request']): string {
  const words = Object.entries(fields).map(([key, value]) => `${key} ${String(value)}`);
  if (commandId !== undefined) {
    words.push(`command_id ${JSON.stringify(commandId)}`);
  }
  return words.length === 0 ? verb : `${verb}: ${words.join(', ')}`;
}
