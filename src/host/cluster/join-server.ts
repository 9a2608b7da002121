import { textWithin } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import { networkTrouble } from '../../core/network-trouble.ts';
import type { Clock, Http, TlsOptions } from '../../core/ports.ts';
import type { Probe } from '../../core/probe.ts';
import { troubleOf } from '../../core/trouble.ts';
import { pollUntil, within } from '../../core/waiting.ts';
import { interrupted } from '../engine/interrupted.ts';
import { joinTokenRejected, REFUSALS_TO_BELIEVE, REFUSED_FOR_MS } from '../k3s/rejection.ts';
import { foreignAuthority, foreignServer } from './foreign-authority.ts';

const PROBE_TIMEOUT_MS = 10_000;
/** Between two questions about a token that is refused. */
const ASK_AGAIN_MS = 1_500;
/** A server that does not answer must not hold up what the others say. */
const OTHERS_TIMEOUT_MS = 600;
/** A longer answer is no CA bundle. */
const CA_LENGTH_MAX = 256 * 1024;
/** Answered to everybody, in some way, once the API of a server is up. */
const READY = '/readyz';
/** The first thing that every node asks for with its token (k3s, "pkg/server/handlers"). */
const ASKED_BY_NODES = '/v1-k3s/client-ca.crt';

interface Deps {
  readonly clock: Clock;
  readonly http: Http;
  readonly signal: AbortSignal;
}

interface FindDeps extends Deps {
  readonly probe: () => Promise<Probe>;
}

/**
 * Finds the first server that answers with a certificate of this CA and accepts the token. k3s serves
 * /cacerts without credentials (k3s, "pkg/server"). The CA comes with the token, so nothing is fetched
 * unverified.
 * @param token k3s' own; undefined where it need not be accepted any more
 * @throws AgentError SERVER_UNREACHABLE naming why for each, JOIN_TOKEN_REJECTED
 */
export async function findServer(
  deps: FindDeps,
  servers: readonly string[],
  ca: string,
  token: string | undefined,
): Promise<string> {
  const tried: Tried[] = [];
  for (const [index, server] of servers.entries()) {
    const answer = await ask(deps, `${server}/cacerts`, { ca });
    if (answer.ok) {
      return token === undefined
        ? server
        : await takingServer(deps, [server, ...servers.slice(index + 1)], ca, token);
    }
    tried.push({ server, why: answer.why, isForeign: answer.isForeign });
  }
  throw await noServer(deps, tried, ca);
}

/** Where some show a certificate of somebody else, that is the cause, and firewalls are not. */
async function noServer(deps: FindDeps, tried: readonly Tried[], ca: string): Promise<AgentError> {
  const foreign = tried.filter(({ isForeign }) => isForeign);
  if (foreign.length === 0) {
    return unreachable(tried);
  }
  const shown = foreign.map(({ server, why }) => foreignServer(deps, server, ca, why));
  return foreignAuthority(await Promise.all(shown), ca);
}

/**
 * The same for an address and a token in the form that k3s' own users know. The CA is fetched unverified
 * and compared with the hash in the token. A token without a hash is not sent: k3s itself decides then.
 * @returns the CA (PEM) where the token vouches for it
 * @throws AgentError SERVER_UNREACHABLE, JOIN_TOKEN_REJECTED
 */
export async function checkServer(
  deps: Deps,
  server: string,
  token: string,
): Promise<string | undefined> {
  const ca = await serverCa(deps, server);
  if (caHashOf(token) !== sha256(ca)) {
    return undefined;
  }
  await takingServer(deps, [server], ca, token);
  return ca;
}

/** The CA that a server claims to have. It is not verified. @throws AgentError SERVER_UNREACHABLE */
export async function serverCa(deps: Deps, server: string): Promise<string> {
  const answer = await ask(deps, `${server}/cacerts`, { rejectUnauthorized: false });
  if (!answer.ok) {
    throw unreachable([{ server, why: answer.why, isForeign: false }]);
  }
  return answer.text;
}

/** The hash of the CA that a full token of k3s carries (docs.k3s.io, "k3s token"). */
export function caHashOf(token: string): string | undefined {
  return /^K10([0-9a-f]{64})::/.exec(token)?.[1];
}

/** Whether a token lives, by one answer (REFUSALS_TO_BELIEVE); undefined where the server does not say. */
export async function isTokenTaken(
  deps: AskDeps,
  server: string,
  ca: string,
  token: string,
): Promise<boolean | undefined> {
  const authorization = authorizationOf(token);
  const { ok, status } = await ask(deps, `${server}${ASKED_BY_NODES}`, { ca }, { authorization });
  return ok ? true : status === 401 || status === 403 ? false : undefined;
}

/**
 * The first server that does not refuse the token. One that was made a moment ago is known at least where it
 * was made, and a server that starts refuses everybody: so the others are asked as well, and a refusal is
 * believed in a few seconds only where the API of the first one is up.
 * @param servers the first has answered
 * @throws AgentError JOIN_TOKEN_REJECTED
 */
async function takingServer(
  deps: Deps,
  [first, ...others]: readonly [string, ...string[]],
  ca: string,
  token: string,
): Promise<string> {
  let refusals = 0;
  const pace = { everyMs: ASK_AGAIN_MS, limitMs: REFUSED_FOR_MS };
  const end = await pollUntil(deps.clock, pace, deps.signal, async () => {
    if ((await isTokenTaken(deps, first, ca, token)) !== false) {
      return { found: first };
    }
    const quick = { ...deps, timeoutMs: OTHERS_TIMEOUT_MS };
    const [isUp, ...taken] = await Promise.all([
      isApiUp(quick, first, ca),
      ...others.map((server) => isTokenTaken(quick, server, ca, token)),
    ]);
    const taking = others[taken.indexOf(true)];
    refusals = isUp ? refusals + 1 : 0;
    const isBelieved = refusals >= REFUSALS_TO_BELIEVE && taking === undefined;
    return taking !== undefined || isBelieved ? { found: taking } : { soFar: undefined };
  });
  if (end.kind === 'aborted') {
    throw interrupted('while the server was asked about the join token');
  }
  if (end.kind === 'found' && end.found !== undefined) {
    return end.found;
  }
  const { code, message, hint } = joinTokenRejected();
  throw new AgentError(code, message, { hint, details: { server: first } });
}

async function isApiUp(deps: AskDeps, server: string, ca: string): Promise<boolean> {
  const { status } = await ask(deps, `${server}${READY}`, { ca });
  return status > 0 && status < 500;
}

/** `K10<hash>::<id>.<secret>` is a bootstrap token, everything else a password (docs.k3s.io, "k3s token"). */
function authorizationOf(token: string): string {
  const bearer = bearerOf(token);
  if (bearer !== undefined) {
    return `Bearer ${bearer}`;
  }
  const credentials = withoutHash(token);
  const password = credentials.slice(credentials.indexOf(':') + 1);
  return `Basic ${Buffer.from(`node:${password}`).toString('base64')}`;
}

/** What Kubernetes itself takes of a token; undefined where it is k3s' own password. Secret. */
export function bearerOf(token: string): string | undefined {
  const credentials = withoutHash(token);
  return /^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(credentials) ? credentials : undefined;
}

function withoutHash(token: string): string {
  return token.replace(/^K10[0-9a-f]{64}::/, '');
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly text: string;
  /** Why it is not ok. */
  readonly why: string;
  /** Its certificate is of another authority. */
  readonly isForeign: boolean;
}

interface AskDeps extends Deps {
  readonly timeoutMs?: number;
}

async function ask(
  deps: AskDeps,
  url: string,
  tls: TlsOptions,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  try {
    return await within(
      deps.clock,
      deps.timeoutMs ?? PROBE_TIMEOUT_MS,
      deps.signal,
      async (signal) => {
        const options = { tls, headers: { ...headers }, redirect: 'manual', signal } as const;
        const response = await deps.http(url, options);
        const { ok, status } = response;
        const text = (await textWithin(response, CA_LENGTH_MAX)) ?? '';
        return { ok, status, text, why: `it answers ${status}`, isForeign: false };
      },
    );
  } catch (thrown) {
    const { kind } = networkTrouble(thrown, { ownCa: true, proxy: '' });
    const isForeign = kind === 'authority';
    return { ok: false, status: 0, text: '', why: troubleOf(thrown), isForeign };
  }
}

interface Tried {
  readonly server: string;
  readonly why: string;
  readonly isForeign: boolean;
}

function unreachable(tried: readonly Tried[]): AgentError {
  const reasons = tried.map(({ server, why }) => `${server}: ${why}`);
  const hosts = tried.map(({ server }) => new URL(server).host).join(' or ');
  return new AgentError('SERVER_UNREACHABLE', `No server answers: ${reasons.join('; ')}`, {
    hint: `Check on the server that k3s runs, and that this machine reaches ${hosts} through every firewall`,
    details: { reasons },
  });
}

export function sha256(text: string): string {
  return new Bun.CryptoHasher('sha256').update(text).digest('hex');
}
