import type * as z from 'zod';
import type { ApiSources } from './sources.ts';
import type { ApiStream } from './stream.ts';

/** What a handler needs beside the parameters. */
export interface RouteContext {
  readonly sources: ApiSources;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Value of `Last-Event-ID`: what a stream goes on behind. */
  readonly lastEventId: string | undefined;
}

/** One thing that can be asked of the agent, as its documentation tells it. */
export interface DocumentedRoute {
  readonly method: 'GET' | 'POST';
  /** A part in braces takes one segment: `/api/commands/{id}`. */
  readonly path: string;
  /** `open`: for every user of this machine. `token`: over the socket, or with the local token. */
  readonly access: 'open' | 'token';
  /** What it does, as a sentence. */
  readonly summary: string;
  /** Of path and query together; each value comes as text. */
  readonly params: z.ZodObject;
  /** Of a stream of events: what each may be, by its name. */
  readonly answer: z.ZodType;
  /** `text`: Prometheus' format, or lines. `events`: a stream of server-sent events. */
  readonly format: 'json' | 'text' | 'events';
  /** Statuses beside 200 that carry the same answer. */
  readonly otherStatuses: readonly number[];
}

/** Routing, checks and documentation follow from this. */
export type Route = DocumentedRoute &
  (
    | {
        readonly isStream: false;
        /** @throws AgentError, which is answered as a problem */
        readonly handle: (context: RouteContext, params: unknown) => unknown;
      }
    | {
        readonly isStream: true;
        /** @throws the same, before the stream has begun */
        readonly handle: (context: RouteContext, params: unknown) => Promise<ApiStream> | ApiStream;
      }
  );

const USUAL = { method: 'GET', access: 'token', format: 'json', otherStatuses: [] } as const;

type Given<Params, Answer> = Partial<Pick<DocumentedRoute, keyof typeof USUAL>> &
  Pick<DocumentedRoute, 'path' | 'summary'> & {
    readonly params: Params;
    readonly answer: Answer;
  };

/** Makes the compiler check that handler and schemas fit together. */
export function route<Params extends z.ZodObject, Answer extends z.ZodType>(
  given: Given<Params, Answer> & {
    readonly handle: (
      context: RouteContext,
      params: z.infer<Params>,
    ) => Promise<z.infer<Answer>> | z.infer<Answer>;
  },
): Route {
  const { handle, ...rest } = given;
  return {
    ...USUAL,
    ...rest,
    isStream: false,
    // They were parsed by the schema of this very route.
    handle: (context, params) => handle(context, params as z.infer<Params>),
  };
}

/** One whose answer goes on while it is read. */
export function streamRoute<Params extends z.ZodObject>(
  given: Given<Params, z.ZodType> & {
    readonly handle: (
      context: RouteContext,
      params: z.infer<Params>,
    ) => Promise<ApiStream> | ApiStream;
  },
): Route {
  const { handle, ...rest } = given;
  return {
    ...USUAL,
    ...rest,
    isStream: true,
    handle: (context, params) => handle(context, params as z.infer<Params>),
  };
}

/** One whose handler stands elsewhere. */
export function documented(given: Given<z.ZodObject, z.ZodType>): DocumentedRoute {
  return { ...USUAL, ...given };
}
