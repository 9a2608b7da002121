import type { z } from 'zod';
import {
  ClusterStatus,
  CommandResult,
  Heartbeat,
  REST_BODY_LIMIT_BYTES,
  Registration,
} from '../../../src/protocol/rest.ts';
import { wireCommand } from './command-channel.ts';
import { describe, parsed } from './envelope.ts';
import { routesApi } from './routes.ts';
import type { ControlPlaneStore } from './store.ts';

export interface AgentApiOptions {
  readonly store: ControlPlaneStore;
  /** Those that it takes. */
  readonly tokens: ReadonlySet<string>;
  /** false: nothing but the health call is there. */
  readonly offered: boolean;
  /** Whether it takes routes and tunnels. */
  readonly routes: boolean;
  /** Called after every change of state. */
  readonly changed: () => void;
}

/** Whether a request carries one of the tokens. */
export function isLetIn(request: Request, tokens: ReadonlySet<string>): boolean {
  return tokens.has(request.headers.get('authorization')?.replace(/^Bearer /, '') ?? '');
}

const json = (status: number, body: unknown) => Response.json(body, { status });
const NO_CONTENT = 204;

/** The side that agents talk to: R1 to R6, routes and tunnels; strict about every field. */
export function agentApi(options: AgentApiOptions): (request: Request) => Promise<Response> {
  const routes = routesApi(options.store);
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === '/api/v1/health') {
      return request.method === 'GET' ? json(200, { status: 'ok' }) : json(405, {});
    }
    const isAllowed = isLetIn(request, options.tokens);
    const aboutRoutes = options.routes && isAllowed ? routes(request, pathname) : undefined;
    if (aboutRoutes !== undefined) {
      const answer = await aboutRoutes;
      options.changed();
      return answer;
    }
    if (!options.offered) {
      return json(404, { error: 'no such call' });
    }
    if (!isAllowed) {
      return json(401, { error: 'invalid token' });
    }
    const response = await route(options, request, pathname);
    options.changed();
    return response;
  };
}

async function route(
  options: AgentApiOptions,
  request: Request,
  pathname: string,
): Promise<Response> {
  const [agentPart = '', ...rest] = pathname.replace('/api/v1/agents/', '').split('/');
  const agentId = decodeURIComponent(agentPart);
  const key = `${request.method} ${rest.map((part, at) => (at === 1 ? '{cid}' : part)).join('/')}`;
  if (pathname === '/api/v1/agents/register' && request.method === 'POST') {
    return register(options, request);
  }
  if (!options.store.knows(agentId)) {
    return json(404, { error: 'agent not found' });
  }
  options.store.saw(agentId);
  switch (key) {
    case 'POST heartbeat':
      return accept(options, request, agentId, Heartbeat, (body) => {
        if (body.agent_id !== agentId) {
          return 'heartbeat.agent_id is not the id of the path';
        }
        options.store.heartbeat(agentId, body);
        return undefined;
      });
    case 'POST status':
      return accept(options, request, agentId, ClusterStatus, (body) => {
        options.store.status(agentId, body);
        return undefined;
      });
    case 'GET commands':
      return json(200, { commands: options.store.deliver(agentId).map(wireCommand) });
    case 'POST commands/{cid}/result':
      return result(options, request, agentId, decodeURIComponent(rest[1] ?? ''));
    default:
      options.store.problem(agentId, `${request.method} ${pathname}: no such call`);
      return json(404, { error: 'no such call' });
  }
}

async function register(options: AgentApiOptions, request: Request): Promise<Response> {
  const body = Registration.safeParse(await readJson(request));
  if (!body.success) {
    return json(400, { error: describe(body.error) });
  }
  options.store.register(body.data);
  for (const label of ['hostname', 'agent.pipeops.io/version']) {
    if (body.data.labels[label] === undefined) {
      options.store.problem(body.data.id, `register: the label ${label} is missing`);
    }
  }
  return json(201, { status: 'registered' });
}

async function result(
  options: AgentApiOptions,
  request: Request,
  agentId: string,
  commandId: string,
): Promise<Response> {
  if (options.store.command(agentId, commandId) === undefined) {
    return json(404, { error: 'command not found' });
  }
  return accept(options, request, agentId, CommandResult, (body) =>
    options.store.finish(agentId, commandId, body) === 'other'
      ? `command ${commandId}: a second, different result`
      : undefined,
  );
}

/** Checks a body and takes it; what is wrong with it is answered and remembered. */
async function accept<T>(
  options: AgentApiOptions,
  request: Request,
  agentId: string,
  schema: z.ZodType<T>,
  take: (body: T) => string | undefined,
): Promise<Response> {
  const body = schema.safeParse(await readJson(request));
  const problem = body.success ? take(body.data) : describe(body.error);
  if (problem !== undefined) {
    const { pathname } = new URL(request.url);
    options.store.problem(agentId, `${request.method} ${pathname}: ${problem}`);
    return json(400, { error: problem });
  }
  return new Response(null, { status: NO_CONTENT });
}

async function readJson(request: Request): Promise<unknown> {
  const text = await request.text();
  if (text.length > REST_BODY_LIMIT_BYTES) {
    return undefined;
  }
  return parsed(text);
}
