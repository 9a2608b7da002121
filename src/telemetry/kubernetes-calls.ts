import type { Clock, Http, HttpRequestInit } from '../core/ports.ts';
import { codeClass } from './code-class.ts';
import type { Histograms } from './metrics/histograms.ts';

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Measures requests to the Kubernetes API, until the head of the answer. */
export function measuredKubernetes({ clock, http, histograms }: MeasuredHttpDeps): Http {
  return async (url, init) => {
    const startedAt = clock.monotonic();
    const told = (code: string) =>
      histograms.observe(
        'pipeops_agent_kubernetes_request_duration_seconds',
        { verb: verbOf(url, init), code },
        (clock.monotonic() - startedAt) / 1_000,
      );
    try {
      const response = await http(url, init);
      told(codeClass(response.status));
      return response;
    } catch (thrown) {
      told('none');
      throw thrown;
    }
  };
}

interface MeasuredHttpDeps {
  readonly clock: Clock;
  readonly http: Http;
  readonly histograms: Histograms;
}

/** As the audit log of Kubernetes calls it (kubernetes.io, "Determine the Request Verb"). */
function verbOf(url: string, { method = 'GET' }: HttpRequestInit = {}): string {
  const verb = VERBS[method];
  if (verb !== undefined) {
    return verb;
  }
  const { searchParams } = new URL(url);
  if (searchParams.has('watch')) {
    return 'watch';
  }
  return searchParams.has('limit') ? 'list' : 'get';
}
