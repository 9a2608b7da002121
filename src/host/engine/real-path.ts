/** Where a path leads when links are followed: the kernel's table of mounts names no others. */
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

/** As the kernel's own limit (path_resolution(7)). */
const LINKS_MAX = 40;

/**
 * The path without links, "." and ".."; what does not exist is taken as it is written.
 * @param path absolute
 * @throws AgentError FILE_ACCESS where links lead in a circle
 */
export async function realPath(files: Files, path: string): Promise<string> {
  const left = partsOf(path);
  let at = '';
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    const next = part === '..' ? at.slice(0, at.lastIndexOf('/')) : `${at}/${part}`;
    const target = part === '..' ? undefined : await linkAt(files, next);
    if (target === undefined) {
      at = next;
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) {
      throw new AgentError('FILE_ACCESS', `Cannot follow ${path}: its links lead in a circle`, {
        hint: `See where they lead: namei -l ${path}`,
      });
    }
    left.unshift(...partsOf(target));
    at = target.startsWith('/') ? '' : at;
  }
  return at === '' ? '/' : at;
}

/** The same, but for the last part: it is looked at as it stands there, a link or not. */
export async function realPlace(files: Files, path: string): Promise<string> {
  const parts = partsOf(path);
  const parent = await realPath(files, `/${parts.slice(0, -1).join('/')}`);
  return `${parent === '/' ? '' : parent}/${parts.at(-1) ?? ''}`;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function linkAt(files: Files, path: string): Promise<string | undefined> {
  return (await files.stat(path))?.kind === 'link' ? await files.readLink(path) : undefined;
}
