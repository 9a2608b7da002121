import { resolve } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import { NAME_TAKEN_ANSWERS, type NameTakenAnswer } from '../../machine/join-name-answers.ts';
import { JOIN_TOKEN_TEXT_LIMIT_BYTES } from '../../protocol/secrets/join-token.ts';
import {
  BUNDLE_FLAG,
  DRY_RUN_FLAG,
  JSON_FLAG,
  OPEN_FIREWALL_FLAG,
  PROGRESS_FILE_FLAG,
  UNDO_FLAGS,
} from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { readTokenFile } from '../definition/given-secret.ts';
import { workerSettingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { progressFile } from '../terminal/progress-file.ts';
import { renderSetUpOutcome } from './set-up-outcome.ts';

export const joinSubcommand = defineSubcommand({
  name: 'join',
  description: 'Makes this machine a node of an existing cluster. The token alone is enough.',
  example: 'sudo pipeops-agent join --token-file /root/join-token',
  flags: {
    'token-file': {
      type: 'string',
      description: 'File with the join token; - for standard input',
      valueHint: 'FILE',
    },
    token: {
      type: 'string',
      description: 'The join token itself (others here can read it); - for standard input',
      valueHint: 'TOKEN',
    },
    'name-taken': {
      type: 'string',
      description:
        'Where the cluster has a node of that name: end (default), take another name, or be it',
      values: NAME_TAKEN_ANSWERS,
      valueHint: NAME_TAKEN_ANSWERS.join('|'),
    },
    'allow-clone': {
      type: 'boolean',
      description: 'Join although a living node has the same machine id',
    },
    bundle: BUNDLE_FLAG,
    ...workerSettingFlags(),
    'open-firewall': OPEN_FIREWALL_FLAG,
    ...UNDO_FLAGS,
    'progress-file': PROGRESS_FILE_FLAG,
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    if (flags.undo || flags.yes) {
      return (await import('./undo.ts')).runUndo(context, flags);
    }
    const name = {
      taken: readNameTaken(flags['name-taken']),
      allowClone: flags['allow-clone'] ?? false,
    };
    const file = progressFile(context, 'join', flags['progress-file']);
    return file.follow(async () => {
      const token = await readToken(context, flags);
      const { joinWithToken } = await import('../../machine/join.ts');
      const outcome = await joinWithToken(context, token, {
        flags,
        name,
        dryRun: flags['dry-run'],
        opensFirewall: flags['open-firewall'] ?? false,
        bundle: flags.bundle === undefined ? undefined : resolve(flags.bundle),
        notice: context.io.stderr,
        report: file.report,
      });
      const { columns } = context.io;
      context.io.stdout(renderSetUpOutcome(outcome, { json: flags.json, columns }));
      return 0;
    });
  },
});

/** @throws AgentError USAGE */
function readNameTaken(text = 'abort'): NameTakenAnswer {
  const answer = NAME_TAKEN_ANSWERS.find((each) => each === text);
  if (answer === undefined) {
    throw new AgentError('USAGE', `Cannot use --name-taken "${text}"`, {
      hint: `Give one of: ${NAME_TAKEN_ANSWERS.join(', ')}`,
    });
  }
  return answer;
}

interface TokenFlags {
  readonly token?: string;
  readonly 'token-file'?: string;
}

/** @throws AgentError USAGE */
async function readToken(
  context: CliContext,
  { token, 'token-file': file = token === '-' ? '-' : undefined }: TokenFlags,
): Promise<string> {
  if (file !== undefined) {
    return readTokenFile(context, file, JOIN_TOKEN_TEXT_LIMIT_BYTES);
  }
  if (token !== undefined) {
    context.io.stderr(
      'pipeops-agent: warning: others on this machine can read a token on the command line; ' +
        'use --token-file\n',
    );
    return token;
  }
  const answer = await context.io.askSecret('Join token: ');
  if (answer === undefined || answer.trim() === '') {
    throw new AgentError('USAGE', '"join" needs a join token', {
      hint: 'Make one on a server with "pipeops-agent token create", then give --token-file FILE',
    });
  }
  return answer;
}
