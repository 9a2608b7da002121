/** One request to the API server: who asks, how long it may take, and what a rejection says. */

import type { V1Status } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Http } from '../../core/ports.ts';
import { troubleOf } from '../../core/trouble.ts';
import { isTimeOver } from '../../core/waiting.ts';
import type { KubernetesCredentials } from './credentials.ts';
import { ApiRejection } from './rejection.ts';

export type Query = Readonly<Record<string, string | number | boolean>>;

export interface ApiDeps {
  readonly clock: Clock;
  readonly http: Http;
  readonly credentials: KubernetesCredentials;
}

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal: AbortSignal;
}

/**
 * Resolves with the head of an answer that is no rejection.
 * @throws AgentError NOT_FOUND, KUBERNETES_API, TIMEOUT, INTERRUPTED: see `KubernetesClient`
 */
export async function sendToApi(deps: ApiDeps, request: ApiRequest): Promise<Response> {
  const first = await attempt(deps, request);
  if (first.status !== 401) {
    return checked(request, first);
  }
  // The token may have been renewed, or minted anew by root: look once more.
  await first.body?.cancel();
  deps.credentials.reload();
  return checked(request, await attempt(deps, request));
}

async function attempt(deps: ApiDeps, request: ApiRequest): Promise<Response> {
  const { server, ca, token } = await deps.credentials.current();
  const url = new URL(request.path, server);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    url.searchParams.set(name, String(value));
  }
  try {
    return await deps.http(url.href, {
      method: request.method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        // The API server is near: compression would only cost both sides time.
        'accept-encoding': 'identity',
        ...(request.body === undefined
          ? {}
          : { 'content-type': request.contentType ?? 'application/json' }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      tls: { ca },
      signal: request.signal,
      timeout: false,
      redirect: 'error',
    });
  } catch (thrown) {
    throwIfAborted(request);
    const text = `Cannot reach Kubernetes at ${url.host}: ${troubleOf(thrown)}`;
    throw new AgentError('KUBERNETES_API', text, {
      hint: 'Check that k3s runs: systemctl status k3s',
      cause: thrown,
    });
  }
}

/** For an answer that broke off, or that cannot be used. */
export const ANSWER_HINT = 'Look at the API server: journalctl -u k3s';

/** @throws AgentError TIMEOUT where a time limit is what aborted it, else INTERRUPTED */
export function throwIfAborted({ path, signal }: Pick<ApiRequest, 'path' | 'signal'>): void {
  if (isTimeOver(signal)) {
    throw new AgentError('TIMEOUT', `Kubernetes did not answer ${path} in time`, {
      hint: 'Look at the load of the machine and at: journalctl -u k3s',
    });
  }
  if (signal.aborted) {
    throw new AgentError('INTERRUPTED', `The request for ${path} was interrupted`);
  }
}

async function checked(request: ApiRequest, response: Response): Promise<Response> {
  if (response.ok) {
    return response;
  }
  const status = await readStatus(response);
  const reason = status.reason ?? 'Unknown';
  const text = `Kubernetes refused ${request.method} ${request.path}: ${status.message ?? reason}`;
  const causes = (status.details?.causes ?? []).flatMap(({ message }) => message ?? []);
  throw new ApiRejection(
    response.status === 404 ? 'NOT_FOUND' : 'KUBERNETES_API',
    text,
    { status: response.status, reason, causes },
    response.status === 403
      ? "The agent's account lacks this permission: kubectl describe clusterrole pipeops-agent"
      : 'Check the object named and: journalctl -u k3s',
  );
}

/**
 * An error answer is a Status object; anything in front of the API server may say something else.
 */
async function readStatus(response: Response): Promise<V1Status> {
  const unknown = { reason: `HTTP ${response.status}` };
  try {
    const answer = (await response.json()) as V1Status | null;
    return answer?.kind === 'Status' ? answer : unknown;
  } catch {
    return unknown;
  }
}
