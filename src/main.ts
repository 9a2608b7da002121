/**
 * Where the process begins. Its version it tells at once: loading the rest of the program takes
 * longer than telling it.
 */
import { versionAnswer } from './cli/version-answer.ts';
import { ownEnvironment } from './platform/own-environment.ts';

/** Where the files of a compiled executable seem to be. */
const COMPILED_ROOT = '/$bunfs/';

const env = ownEnvironment(process, Bun.main.startsWith(COMPILED_ROOT) ? undefined : Bun.main);
const words = process.argv.slice(2);

const version = versionAnswer(words);
if (version === undefined || !(await isWritten(version))) {
  const { runProgram } = await import('./program.ts');
  await runProgram(env, words);
}

/** Where it cannot be written, the program tries again, and says what the trouble is. */
async function isWritten(text: string): Promise<boolean> {
  try {
    await Bun.stdout.write(text);
    return true;
  } catch {
    return false;
  }
}
