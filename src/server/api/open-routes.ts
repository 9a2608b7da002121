/** What everybody on this machine may ask, often: answered without a schema being loaded. */
import type { RouteContext } from './route.ts';

interface OpenAnswer {
  readonly status: number;
  /** A text is sent as it is, everything else as JSON. */
  readonly body: unknown;
  readonly type?: string;
}

interface OpenContext extends Pick<RouteContext, 'sources' | 'signal'> {
  /** The header Accept; empty where there is none. */
  readonly accept: string;
}

export type OpenHandler = (context: OpenContext) => Promise<OpenAnswer> | OpenAnswer;

const OPEN_HANDLERS: Readonly<Record<string, OpenHandler>> = {
  '/health': () => ({ status: 200, body: { status: 'ok' } }),
  '/ready': async ({ sources, signal }) => {
    const body = await sources.ready(signal);
    return { status: body.ready ? 200 : 503, body };
  },
  '/version': ({ sources }) => ({ status: 200, body: sources.version }),
  '/metrics': async ({ sources, accept }) => {
    const { type, text } = await sources.metrics(accept);
    return { status: 200, type, body: text };
  },
};

export function openHandler(path: string): OpenHandler | undefined {
  return Object.hasOwn(OPEN_HANDLERS, path) ? OPEN_HANDLERS[path] : undefined;
}
