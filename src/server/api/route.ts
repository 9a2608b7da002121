import type * as z from 'zod';
import type { ApiSources } from './sources.ts';

/** What a handler needs beside the parameters. */
export interface RouteContext {
  readonly sources: ApiSources;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
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
  readonly answer: z.ZodType;
  /** `text`: Prometheus' format. */
  readonly format: 'json' | 'text';
  /** Statuses beside 200 that carry the same answer. */
  readonly otherStatuses: readonly number[];
}

/** Routing, checks and documentation follow from this. */
export interface Route extends DocumentedRoute {
  /** @throws AgentError, which is answered as a problem */
  readonly handle: (context: RouteContext, params: unknown) => unknown;
}

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
    // They were parsed by the schema of this very route.
    handle: (context, params) => handle(context, params as z.infer<Params>),
  };
}

/** One whose handler stands elsewhere. */
export function documented(given: Given<z.ZodObject, z.ZodType>): DocumentedRoute {
  return { ...USUAL, ...given };
}
