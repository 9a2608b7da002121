/** What a way that leads nowhere means, in words: the first step that fails, and what mends it. */
import type { ErrorCode } from '../../core/errors.ts';
import type { StepFailure, StepName } from '../../core/probe.ts';
import type { Reached, ReachedWay } from '../facts/reached.ts';
import type { Finding } from './check.ts';

/**
 * Of a check that looks at endpoints. Where nothing answers the first step is the last one; this many
 * in full are taken only on a slow way, or where one server sends on to another.
 */
export const ENDPOINT_STEPS = 3;

const STEP_WORDS: Readonly<Record<StepName, string>> = {
  dns: 'DNS',
  tcp: 'TCP',
  proxy: 'the proxy',
  tls: 'TLS',
  http: 'HTTP',
  websocket: 'the upgrade to a WebSocket',
};

/** Whether an endpoint answers with something that only it would say. */
export type IsRight = (status: number) => boolean;

/** An endpoint to which no usual way leads, and the first of them. */
export interface Blocked {
  readonly reached: Reached;
  readonly way: ReachedWay;
}

/**
 * @returns the finding where no usual way leads to the endpoint; undefined where one does
 */
export function endpointFinding(
  reached: Reached,
  code: ErrorCode,
  isRight: IsRight,
): Finding | undefined {
  const blocked = blockedAt(reached, isRight);
  return blocked && blockedFinding(blocked, code, isRight);
}

export function blockedAt(reached: Reached, isRight: IsRight): Blocked | undefined {
  const [way] = reached.usual;
  return way === undefined || reached.usual.some((each) => leadsThere(each, isRight))
    ? undefined
    : { reached, way };
}

export function blockedFinding(blocked: Blocked, code: ErrorCode, isRight: IsRight): Finding {
  const { reached, way } = blocked;
  const { hostname } = reached.endpoint.url;
  return {
    code,
    message: blockedWords([blocked]),
    hint: reached.around.some((each) => leadsThere(each, isRight))
      ? `Without the proxy it can: add ${hostname} to NO_PROXY, or let the proxy pass it`
      : hintFor(reached, way),
    details: detailsOf(reached),
  };
}

/** @param blocked with the same cause, which is told of the first */
export function blockedWords(blocked: readonly [Blocked, ...Blocked[]]): string {
  const [{ reached, way }] = blocked;
  const names = blocked.map(
    ({ reached: { endpoint } }) => `${endpoint.name} (${endpoint.url.host})`,
  );
  return `Cannot use ${names.join(', ')}${through(reached)}: ${whatFails(way)}`;
}

/** The same for endpoints that one trouble keeps away: a resolver, a firewall, a proxy. */
export function causeOf({ reached, way }: Blocked): string {
  const { failure } = way.walk;
  const cause = failure === undefined ? whatFails(way) : `${failure.step}: ${failure.why}`;
  return `${through(reached)} ${cause}`;
}

function through({ proxy }: Reached): string {
  return proxy === '' ? '' : ` through the proxy ${proxy}`;
}

export function leadsThere({ walk }: ReachedWay, isRight: IsRight): boolean {
  const { failure, answer } = walk;
  return failure === undefined && answer?.pageBy === undefined && isRight(answer?.status ?? 0);
}

/** `TLS fails after 35 ms: its certificate is of an authority, "Corp", that is not trusted here` */
export function whatFails({ walk }: ReachedWay): string {
  const { failure, answer } = walk;
  if (failure !== undefined) {
    return `${STEP_WORDS[failure.step]} fails after ${failure.ms} ms: ${failure.why}`;
  }
  return answer?.pageBy === undefined
    ? `it answers ${answer?.status ?? 'nothing'}`
    : `a page (${answer.status}) by ${answer.pageBy} comes in its place`;
}

/** Every way with its steps, for programs. */
export function detailsOf({
  endpoint,
  proxy,
  usual,
  around,
}: Reached): Readonly<Record<string, unknown>> {
  return {
    url: endpoint.url.href,
    proxy: proxy === '' ? null : proxy,
    ways: [...usual, ...around].map(({ way, address, walk }) => ({
      way,
      address,
      steps: walk.steps.map(({ step, ms }) => ({ step, ms })),
      failed: walk.failure === undefined ? null : failed(walk.failure),
      status: walk.answer?.status ?? null,
      issuer: walk.certificate?.issuer ?? null,
    })),
  };
}

function failed({ step, ms, why }: StepFailure) {
  return { step, ms, why };
}

function hintFor({ endpoint: { url, ca }, proxy }: Reached, { walk }: ReachedWay): string {
  const { failure, answer, certificate } = walk;
  const port = url.port === '' ? (/^(https|wss):$/.test(url.protocol) ? '443' : '80') : url.port;
  if (failure === undefined) {
    return answer?.pageBy === undefined
      ? `Check the address ${url.origin}, and whether that server is all right`
      : `Let what stands on the way pass ${url.hostname}: a proxy, a portal, a firewall`;
  }
  switch (failure.step) {
    case 'dns':
      return proxy === ''
        ? `Give this machine a resolver that knows the name (/etc/resolv.conf), or the name an address in /etc/hosts. To try it: getent hosts ${url.hostname}`
        : `Correct the name of the proxy ${proxy} (HTTPS_PROXY, control_plane.proxy)`;
    case 'tcp':
      return proxy === ''
        ? `${silenceWords(failure)}Allow outgoing TCP to port ${port} of ${url.hostname} in the firewalls on the way; where a proxy is needed, set HTTPS_PROXY`
        : `${silenceWords(failure)}Allow outgoing TCP to the proxy ${proxy}, or correct its address (HTTPS_PROXY, control_plane.proxy)`;
    case 'proxy':
      return `Let the proxy ${proxy} pass ${url.hostname}:${port}; its user and password belong into HTTPS_PROXY`;
    case 'tls':
      return tlsHint(failure, url, ca !== undefined, certificate?.issuer ?? 'its authority');
    default:
      return `Let what stands on the way pass ${url.hostname}: a proxy, a firewall`;
  }
}

/** A firewall that refuses says so; one that drops does not. */
function silenceWords({ isSilent }: StepFailure): string {
  return isSilent
    ? 'That is what a firewall does that drops packets (on a very slow link: doctor --timeout 10s). '
    : '';
}

function tlsHint(failure: StepFailure, url: URL, ownCa: boolean, issuer: string): string {
  switch (failure.kind) {
    case 'authority':
      return ownCa
        ? `The file of --ca-file has another authority: put the certificate of "${issuer}" into it`
        : `Either something on the way opens TLS, or the server has a private authority. Get the certificate of "${issuer}" from whoever runs it, and add --ca-file FILE; or have ${url.hostname} passed unopened`;
    case 'time':
      return 'Compare the clock of this machine with another one: date -u';
    case 'name':
      return 'Use an address that the certificate is for';
    case 'ca':
      return 'Correct the file of --ca-file: it needs certificates in PEM';
    default:
      return failure.isSilent
        ? `Have ${url.hostname} passed: a firewall may look at the names in TLS, or drop large packets (see the check "path-mtu")`
        : `Have ${url.hostname} passed: something on the way breaks TLS off, or it is no port for TLS`;
  }
}
