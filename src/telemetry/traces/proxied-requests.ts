import type { Random } from '../../core/ports.ts';
import type { Traces } from '../../core/traces.ts';
import type { HeaderList } from '../../http1/head.ts';
import type { TraceRequest } from '../../proxy/forward.ts';

const TRACEPARENT = 'traceparent';
/** What stands behind it is an application's: it may have a secret in its path. */
const OF_APPLICATION = /(\/proxy)\/.*/;

/**
 * Makes proxied requests spans, between that of the caller and that of the API server.
 * @param share of the requests whose caller traces nothing; a span costs about half of what a small request does
 */
export function tracedRequests(
  { traces, random }: { readonly traces: Traces; readonly random: Pick<Random, 'fraction'> },
  share: number,
): TraceRequest {
  return ({ method, headers, client }) => {
    const parent = parentOf(headers);
    if (parent === undefined && random.fraction() >= share) {
      return undefined;
    }
    const [door = ''] = client.split(':', 1);
    const span = traces.begin(`proxy ${method}`, parent, {
      kind: 'server',
      attributes: { 'http.request.method': method, 'pipeops.door': door },
    });
    return {
      headers: [
        ...headers.filter(([name]) => name.toLowerCase() !== TRACEPARENT),
        [TRACEPARENT, span.traceparent],
      ],
      ended: ({ status }, path) =>
        span.end({
          error: status === undefined ? 'cancelled' : status >= 500 ? String(status) : undefined,
          attributes: {
            ...(status === undefined ? {} : { 'http.response.status_code': status }),
            ...(path === undefined ? {} : { 'url.path': path.replace(OF_APPLICATION, '$1') }),
          },
        }),
    };
  };
}

function parentOf(headers: HeaderList): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === TRACEPARENT)?.[1];
}
