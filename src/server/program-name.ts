import { type HeaderList, singleHeader } from '../http1/head.ts';

/** Characters. */
const NAME_LENGTH_MAX = 64;

/** What the caller's program calls itself, without its version: fair turns are by program. */
export function programOf(headers: HeaderList): string {
  const agent = singleHeader(headers, 'user-agent') ?? '';
  const slash = agent.indexOf('/');
  return agent.slice(0, Math.min(slash === -1 ? agent.length : slash, NAME_LENGTH_MAX));
}
