import { textWithin } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import { networkTrouble, troubleHint } from '../../core/network-trouble.ts';
import type { Clock, Http } from '../../core/ports.ts';
import { within } from '../../core/waiting.ts';
import { interrupted } from './interrupted.ts';

/** Redirects that are followed: more is a circle. */
const REDIRECTS_MAX = 5;
const DOWNLOAD_TIMEOUT_MS = 60_000;

interface Deps {
  readonly clock: Clock;
  readonly http: Http;
}

/**
 * The text at an address, redirects followed.
 * @param limitBytes a longer text is refused while it comes
 * @throws AgentError DOWNLOAD_FAILED, INTERRUPTED; DOWNLOAD_CORRUPT when it is too long
 */
export async function downloadText(
  deps: Deps,
  url: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<string> {
  return await inTime(deps, url, signal, async (limited) =>
    readLimited(await openDownload(deps, url, {}, limited), url, limitBytes),
  );
}

/**
 * The answer of an address, redirects followed; its body is still to be read.
 * @throws Error that completes "Cannot fetch …", or what the network throws
 */
export async function openDownload(
  deps: { readonly http: Http },
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  let at = url;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const response = await ask(deps, at, headers, signal);
    const next = locationOf(response, at);
    if (next === undefined) {
      return response;
    }
    await response.body?.cancel();
    if (at.startsWith('https:') && !next.startsWith('https:')) {
      throw new Error(`it redirects from https to ${next}`);
    }
    at = next;
  }
  throw new Error(`it redirects more than ${REDIRECTS_MAX} times`);
}

/**
 * Where an address redirects to, not followed; undefined when it does not redirect.
 * @throws AgentError DOWNLOAD_FAILED, INTERRUPTED
 */
export async function redirectTarget(
  deps: Deps,
  url: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return await inTime(deps, url, signal, async (limited) => {
    const response = await ask(deps, url, {}, limited);
    await response.body?.cancel();
    return locationOf(response, url);
  });
}

async function inTime<T>(
  { clock }: Deps,
  url: string,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await within(clock, DOWNLOAD_TIMEOUT_MS, signal, (limited) =>
      explainingDownload(url, () => work(limited)),
    );
  } catch (thrown) {
    throw signal.aborted ? interrupted(`while fetching ${url}`) : thrown;
  }
}

/** Gives a failure its code, the address and what to do. @throws AgentError DOWNLOAD_FAILED */
export async function explainingDownload<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AgentError) {
      throw cause;
    }
    const { host } = new URL(url);
    const trouble = networkTrouble(cause, { ownCa: false, proxy: '' });
    throw new AgentError('DOWNLOAD_FAILED', `Cannot fetch ${url}: ${trouble.why}`, {
      hint:
        trouble.kind === 'proxy'
          ? troubleHint(trouble)
          : `Check that this machine reaches ${host} (proxy: HTTPS_PROXY); a mirror is named with --k3s-mirror`,
      cause,
    });
  }
}

/** An answer that is an error of HTTP. */
export class BadStatus extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`it answers ${status}`);
    this.status = status;
  }
}

async function ask(
  { http }: Pick<Deps, 'http'>,
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  const response = await http(url, { redirect: 'manual', headers, signal });
  if (response.status >= 400) {
    await response.body?.cancel();
    throw new BadStatus(response.status);
  }
  return response;
}

function locationOf(response: Response, from: string): string | undefined {
  const location = response.headers.get('location');
  return response.status < 300 || location === null ? undefined : new URL(location, from).href;
}

async function readLimited(response: Response, url: string, limitBytes: number): Promise<string> {
  const text = await textWithin(response, limitBytes);
  if (text === undefined) {
    throw new AgentError('DOWNLOAD_CORRUPT', `What ${url} sends is over ${limitBytes} bytes`, {
      hint: 'Check that no proxy or portal answers in its place',
    });
  }
  return text;
}
