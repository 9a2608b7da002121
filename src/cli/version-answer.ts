/**
 * The answer to somebody who asks for the version and nothing else. It imports next to nothing, and
 * is known before the rest of the program is loaded.
 */
import { BUILD, VERSION_LINE } from '../core/version.ts';

const FLAGS = ['--version', '-v', '-V'];

/** @returns undefined when the words ask for something else */
export function versionAnswer([first = '', ...others]: readonly string[]): string | undefined {
  if (FLAGS.includes(first)) {
    return `${BUILD.version}\n`;
  }
  return first === 'version' && others.length === 0 ? VERSION_LINE : undefined;
}
