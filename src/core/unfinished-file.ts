/**
 * What is written beside a file, and then takes its place. A process that is killed in between leaves it,
 * and whoever removes the file removes that, too.
 */
import { basename, dirname, join } from 'node:path';

const END = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** A new name each time: two processes may write the same file. */
export function unfinishedFile(path: string): string {
  return join(dirname(path), `${beginningFor(path)}${crypto.randomUUID()}.tmp`);
}

/** @param name in the directory of `path` */
export function isUnfinishedFile(name: string, path: string): boolean {
  const beginning = beginningFor(path);
  return name.startsWith(beginning) && END.test(name.slice(beginning.length));
}

function beginningFor(path: string): string {
  return `.${basename(path)}.`;
}
