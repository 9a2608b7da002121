/** The Connection header: what is meant for one connection only, and the wish to go on in another protocol. */
import { AgentError } from '../core/errors.ts';
import { type HeaderList, REQUEST_ADVICE, singleHeader } from './head.ts';

const UPGRADES = ['websocket', 'spdy/3.1'];

const NO_OPTIONS: ReadonlySet<string> = new Set();

/**
 * Whether the caller wants to go on in another protocol that is known here. For any other protocol
 * the answer is as if it had not asked, such as for `h2c` of clients that would like HTTP/2 (RFC
 * 9110 section 7.8).
 */
export function asksForUpgrade(headers: HeaderList, options = connectionOptions(headers)): boolean {
  return options.has('upgrade') && isUpgrade(singleHeader(headers, 'upgrade') ?? '');
}

/** @param protocols value of an Upgrade header. Those of Kubernetes: WebSockets, and SPDY of older clients */
function isUpgrade(protocols: string): boolean {
  return protocols
    .toLowerCase()
    .split(',')
    .some((each) => UPGRADES.includes(each.trim()));
}

/**
 * The headers that are meant for this connection only, in lower case (RFC 9110 section 7.6.1).
 * @throws AgentError PROXY_REQUEST_INVALID when Content-Length is one of them: without it the API
 *   server would take the body for a request that no policy has seen
 */
export function connectionOptions(headers: HeaderList): ReadonlySet<string> {
  const value = singleHeader(headers, 'connection');
  if (value === undefined) {
    return NO_OPTIONS;
  }
  const options = new Set(splitOptions(value));
  if (options.has('content-length')) {
    throw new AgentError(
      'PROXY_REQUEST_INVALID',
      'The Connection header names the Content-Length',
      REQUEST_ADVICE,
    );
  }
  return options;
}

/** Whether an answer is the last one on its connection (RFC 9112 section 9.6). */
export function isLastAnswer(headers: HeaderList): boolean {
  const value = singleHeader(headers, 'connection');
  return value !== undefined && splitOptions(value).includes('close');
}

function splitOptions(value: string): readonly string[] {
  return value.split(',').map((each) => each.trim().toLowerCase());
}
