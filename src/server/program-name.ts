import { type HeaderList, singleHeader } from '../http1/head.ts';

/** Characters. */
const NAME_LENGTH_MAX = 64;

/**
 * The caller's program by its own name, without the version: turns are shared fairly between
 * programs.
 */
export function programOf(headers: HeaderList): string {
  const agent = singleHeader(headers, 'user-agent') ?? '';
  const slash = agent.indexOf('/');
  return agent.slice(0, Math.min(slash === -1 ? agent.length : slash, NAME_LENGTH_MAX));
}
