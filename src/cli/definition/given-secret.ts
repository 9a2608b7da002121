import { AgentError } from '../../core/errors.ts';
import type { CliContext } from './context.ts';

/** Only a text that is certainly a path is repeated: anything else may be the secret itself. */
const PATH_SHAPE = /^(\.{0,2}|~)\/[\w.@/-]{1,200}$/;

/**
 * The content of the file of `--token-file`, or of standard input (`-`).
 * @throws AgentError USAGE when there is no such file, never with a text that may be a secret
 */
export async function readTokenFile(
  context: CliContext,
  path: string,
  limitBytes: number,
): Promise<string> {
  if (path === '-') {
    return context.io.readStdin(limitBytes);
  }
  if (!PATH_SHAPE.test(path) && (await context.files.stat(path)) === undefined) {
    throw new AgentError('USAGE', 'There is no file of the name that --token-file gives', {
      hint: 'It takes the name of a file, not the token itself; - reads standard input',
    });
  }
  const text = await context.files.readText(path, limitBytes);
  if (text === undefined) {
    throw new AgentError('USAGE', `There is no file ${path}`, {
      hint: 'Check the path; the file holds the token and nothing else',
    });
  }
  return text;
}
