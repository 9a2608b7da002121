import { AgentError } from '../../core/errors.ts';

const FULL = /no space left on device|disk quota exceeded/i;
/** A path right before the words, as strerror(3) is used: `open /a/b: no space left on device`. */
const PATH_BEFORE =
  /(?<![^\s:'"])(\/[^\s:'"]+)['"]?: (?:write error: )?(?:no space left|disk quota exceeded)/i;

/**
 * What a program says when its disk is full, as our own error.
 * @param doing what was tried: `keep the token`
 * @param path where it writes, when it does not say so itself
 * @returns undefined when it says nothing of the kind
 */
export function diskFull(output: string, doing: string, path: string): AgentError | undefined {
  if (!FULL.test(output)) {
    return undefined;
  }
  const full = PATH_BEFORE.exec(output)?.[1] ?? path;
  return new AgentError('DISK_FULL', `Cannot ${doing}: no space left on the disk of ${full}`, {
    hint: `Free some space there (df -h ${full}), then run the same command again`,
  });
}

/**
 * Takes a note while something is being removed. A full disk must not stop a removal, because that makes
 * room.
 * @returns whether the note was written
 */
export async function unlessFull(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (thrown) {
    if (isDiskFull(thrown)) {
      return false;
    }
    throw thrown;
  }
}

export function isDiskFull(thrown: unknown): boolean {
  return thrown instanceof AgentError && thrown.code === 'DISK_FULL';
}
