import type { Http } from '../../core/ports.ts';
import type { Traces } from '../../core/traces.ts';
import { troubleOf } from '../../core/trouble.ts';

/** Makes each call to the Kubernetes API that belongs to a trace a span of it, until the head of the answer. */
export function tracedKubernetes(http: Http, traces: Traces): Http {
  return async (url, init = {}) => {
    const { method = 'GET' } = init;
    const { pathname } = new URL(url);
    const span = traces.beginInside(`kubernetes ${method}`, {
      kind: 'client',
      attributes: { 'http.request.method': method, 'url.path': pathname },
    });
    if (span === undefined) {
      return await http(url, init);
    }
    const headers = new Headers(init.headers);
    headers.set('traceparent', span.traceparent);
    try {
      const response = await http(url, { ...init, headers });
      const { status } = response;
      span.end({
        error: status >= 400 ? String(status) : undefined,
        attributes: { 'http.response.status_code': status },
      });
      return response;
    } catch (thrown) {
      span.end({ error: troubleOf(thrown) });
      throw thrown;
    }
  };
}
