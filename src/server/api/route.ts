import type * as z from 'zod';
import {
  type AnswerOf,
  LOCAL_API,
  type ParamsOf,
  type RouteName,
} from '../../protocol/local-api-table.ts';
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

/** One entry of the table of routes, with what it says by leaving things out. */
export interface DocumentedRoute {
  readonly method: 'GET' | 'POST';
  /** A part in braces takes one segment: `/api/commands/{id}`. */
  readonly path: string;
  readonly access: 'open' | 'token';
  readonly summary: string;
  readonly params: z.ZodObject;
  readonly answer: z.ZodType;
  readonly format: 'json' | 'text' | 'events';
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

/** Makes the compiler check that the handler fits the entry of the table. */
export function route<Name extends RouteName>(
  name: Name,
  handle: (
    context: RouteContext,
    params: ParamsOf<Name>,
  ) => Promise<AnswerOf<Name>> | AnswerOf<Name>,
): Route {
  return {
    ...documented(name),
    isStream: false,
    // They were parsed by the schema of this very route.
    handle: (context, params) => handle(context, params as ParamsOf<Name>),
  };
}

/** One whose answer goes on while it is read. */
export function streamRoute<Name extends RouteName>(
  name: Name,
  handle: (context: RouteContext, params: ParamsOf<Name>) => Promise<ApiStream> | ApiStream,
): Route {
  return {
    ...documented(name),
    isStream: true,
    handle: (context, params) => handle(context, params as ParamsOf<Name>),
  };
}

/** All of the table, in its order. */
export function documentedRoutes(): readonly DocumentedRoute[] {
  return (Object.keys(LOCAL_API) as RouteName[]).map(documented);
}

function documented(name: RouteName): DocumentedRoute {
  const [method, path = ''] = name.split(' ');
  return {
    access: 'token',
    format: 'json',
    otherStatuses: [],
    ...LOCAL_API[name],
    method: method === 'POST' ? 'POST' : 'GET',
    path,
  };
}
