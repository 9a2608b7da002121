/**
 * The proxy's door for kubectl, on 127.0.0.1 over TLS: kubectl sends no token over plain HTTP. The
 * raw path, repeated headers, trailers and the bytes of an upgrade (exec, attach, port-forward)
 * pass untouched.
 */
import { STATUS_TYPE } from '../core/kinds.ts';
import { type RequestHead, singleHeader } from '../http1/head.ts';
import { headRoom } from '../http1/head-room.ts';
import type { DoorDeps, Refusal } from '../http1/server/connection.ts';
import { type ForwardDeps, forward } from '../proxy/forward.ts';
import type { Listener } from './listener.ts';
import type { LocalAuth } from './local-auth.ts';
import { type LoopbackDeps, loopbackDoor } from './loopback-door.ts';
import { foreignReason } from './own-host.ts';
import { programOf } from './program-name.ts';
import type { CertificateAndKey } from './self-signed-certificate.ts';

const PREFIX = '/proxy';

/** What requests of the door need. */
interface TlsDoorDeps {
  readonly auth: LocalAuth;
  readonly proxy: ForwardDeps;
}

type TlsListenerDeps = LoopbackDeps & TlsDoorDeps;

interface TlsListenerOptions {
  readonly port: number;
  readonly certificate: CertificateAndKey;
}

/** @throws AgentError PORT_IN_USE at start */
export function tlsListener(deps: TlsListenerDeps, options: TlsListenerOptions): Listener {
  let port = options.port;
  return {
    name: 'tls-listener',
    port: () => port,
    start: async (signal) => {
      const server = listen(deps, signal, options);
      port = server.port;
      return { done: server.serveUntil(signal) };
    },
  };
}

/** How requests of the door are admitted, begun and refused. */
export function connectionDeps(deps: TlsDoorDeps, leaving: AbortSignal): DoorDeps {
  return {
    headRoom: headRoom(),
    admit: (head) => refusalOf(deps, head),
    malformed: (status, message) => refusal(status, 'BadRequest', 'PROXY_REQUEST_INVALID', message),
    begin: (head, sink) => {
      const { method, target, headers } = head;
      const client = `tls:${programOf(headers)}`;
      return forward(
        deps.proxy,
        { method, target: targetOfApi(target), headers, client, leaving },
        sink,
      );
    },
  };
}

function listen(deps: TlsListenerDeps, leaving: AbortSignal, options: TlsListenerOptions) {
  const { port, certificate } = options;
  return loopbackDoor(deps, connectionDeps(deps, leaving), {
    port,
    setting: 'http.tls_port',
    tls: { cert: certificate.certificate, key: certificate.key },
  });
}

/** Refuses a request before anything else of it is looked at. */
function refusalOf(deps: TlsDoorDeps, head: RequestHead): Refusal | undefined {
  const host = singleHeader(head.headers, 'host');
  const origin = singleHeader(head.headers, 'origin');
  const hasToken = deps.auth.accepts(singleHeader(head.headers, 'authorization'));
  const foreign = foreignReason({ host, origin, hasToken }, 'https');
  if (foreign !== undefined) {
    return refusal(403, 'Forbidden', foreign.code, foreign.message);
  }
  if (!hasToken) {
    const message = 'A local token is needed: pipeops-agent kubeconfig --local';
    return refusal(401, 'Unauthorized', 'LOCAL_TOKEN_REJECTED', message);
  }
  return undefined;
}

/**
 * The API is below /proxy, as at the plain door, and at the root, the only place that `kubectl
 * proxy` knows.
 */
function targetOfApi(target: string): string {
  return target.startsWith(`${PREFIX}/`) ? target.slice(PREFIX.length) : target;
}

/** A `Status` object (kubernetes.io, API conventions, "Response Status Kind"). */
function refusal(status: number, reason: string, code: string, message: string): Refusal {
  const body = JSON.stringify({
    ...STATUS_TYPE,
    metadata: {},
    status: 'Failure',
    message: `pipeops-agent: ${message}`,
    reason,
    details: { causes: [{ reason: code, message }] },
    code: status,
  });
  return { status, body };
}
