import { join } from 'node:path';
import { z } from 'zod';
import type { AgentLinks } from './agent-link.ts';
import { type Session, sessionOf } from './agent-presence.ts';
import type { AgentRecord } from './agent-store.ts';
import { Fault, type Faults } from './faults.ts';
import { agentPage, FLEET_HEADERS, fleetPage } from './fleet-page.ts';
import type { RouteRecord, TunnelRecord } from './route-store.ts';
import type { CommandRecord, ControlPlaneStore } from './store.ts';

const NewCommand = z.strictObject({
  type: z.string().min(1),
  payload: z.record(z.string(), z.unknown()).default({}),
  timeout_seconds: z.number().positive().optional(),
});

const Tokens = z.strictObject({ tokens: z.array(z.string().min(1)).max(10) });

export interface AdminApiOptions {
  readonly store: ControlPlaneStore;
  readonly links: AgentLinks;
  readonly faults: Faults;
  readonly tokens: Set<string>;
  readonly changed: () => void;
}

/** Commands that are listed, the newest. */
const LISTED_MAX = 100;
/** … and on the page of an agent. */
const SHOWN_COMMANDS_MAX = 30;

/** Ends its line: people read it in a terminal. */
const json = (status: number, body: unknown) =>
  new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { 'content-type': 'application/json' },
  });

/** The side for people and tests. Listens on loopback and refuses foreign Host headers. */
export function adminApi(options: AdminApiOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url);
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) {
      return json(403, { error: 'this address answers for this machine only' });
    }
    const origin = request.headers.get('origin');
    if (origin !== null && origin !== url.origin) {
      return json(403, { error: 'this address does not answer pages of other sites' });
    }
    const page = request.method === 'GET' ? pageAt(options, url.pathname) : undefined;
    if (page !== undefined) {
      return page;
    }
    const [root, agents, id, commands, commandId, action] = url.pathname
      .split('/')
      .slice(1)
      .map(decodeURIComponent);
    if (url.pathname === '/admin/faults') {
      return faultRoute(options, request);
    }
    if (url.pathname === '/admin/tokens') {
      return tokensRoute(options, request);
    }
    if (root !== 'admin' || agents !== 'agents') {
      return json(404, { error: 'no such page' });
    }
    if (id === undefined) {
      const known = options.store.agents().map((each) => shown(options, each));
      return json(200, { agents: known, protocol_errors: options.store.problems('') });
    }
    const agent = options.store.agent(id);
    if (agent === undefined) {
      return json(404, { error: 'no such agent' });
    }
    if (commands === undefined && request.method === 'DELETE') {
      options.store.forget(id);
      options.changed();
      return new Response(null, { status: 204 });
    }
    if (commands === undefined) {
      return json(200, shown(options, agent));
    }
    return commands === 'commands'
      ? commandRoute(options, request, id, commandId, action)
      : json(404, { error: 'no such page' });
  };
}

/** What people see. Undefined: there is no such page. */
function pageAt(options: AdminApiOptions, path: string): Response | undefined {
  const now = new Date();
  if (path === '/fleet.css' || path === '/fleet.js') {
    return new Response(Bun.file(join(import.meta.dir, path)), { headers: FLEET_HEADERS });
  }
  const html = (text: string) =>
    new Response(text, {
      headers: { ...FLEET_HEADERS, 'content-type': 'text/html; charset=utf-8' },
    });
  if (path === '/') {
    return html(
      fleetPage(
        options.store.agents().map((each) => shown(options, each)),
        now,
      ),
    );
  }
  const [, id] = /^\/agents\/([^/]+)$/.exec(path) ?? [];
  const agent = id === undefined ? undefined : options.store.agent(decodeURIComponent(id));
  return (
    agent &&
    html(agentPage(shown(options, agent), options.store.newest(agent.id, SHOWN_COMMANDS_MAX), now))
  );
}

export type ShownAgent = AgentRecord & {
  /** Its WebSocket is up now. */
  readonly connected: boolean;
  /** Over whatever carries it. */
  readonly session: Session;
  readonly routes: readonly RouteRecord[];
  readonly tunnels: readonly TunnelRecord[];
};

function shown({ store, links }: AdminApiOptions, agent: AgentRecord): ShownAgent {
  const connected = links.of(agent.id) !== undefined;
  return {
    ...agent,
    connected,
    session: sessionOf(
      agent,
      { isUp: connected, wasStopped: links.wasStopped(agent.id) },
      new Date(),
    ),
    routes: store.routes.routes(agent.cluster_uuid),
    tunnels: store.routes.tunnels(agent.cluster_uuid),
  };
}

/** Which tokens of agents it takes from now on. */
async function tokensRoute({ tokens }: AdminApiOptions, request: Request): Promise<Response> {
  if (request.method !== 'PUT') {
    return json(405, { error: 'PUT the tokens that agents may have' });
  }
  const body = Tokens.safeParse(await request.json().catch(() => undefined));
  if (!body.success) {
    return json(400, { error: z.prettifyError(body.error) });
  }
  tokens.clear();
  for (const token of body.data.tokens) {
    tokens.add(token);
  }
  return new Response(null, { status: 204 });
}

async function commandRoute(
  options: AdminApiOptions,
  request: Request,
  agentId: string,
  commandId: string | undefined,
  action: string | undefined,
): Promise<Response> {
  if (commandId !== undefined && action === 'cancel') {
    return cancelRoute(options, request, agentId, commandId);
  }
  if (commandId !== undefined) {
    const command = options.store.command(agentId, commandId);
    return command === undefined
      ? json(404, { error: 'no such command' })
      : json(200, {
          state: command.state,
          result: command.result,
          progress: options.store.progress(commandId),
          extra_results: command.extra_results,
          events: options.store.events(commandId),
        });
  }
  if (request.method === 'GET') {
    const commands = options.store.newest(agentId, LISTED_MAX).map(summaryOf);
    return json(200, { commands });
  }
  if (request.method !== 'POST') {
    return json(405, { error: 'GET the commands, or POST a new one' });
  }
  const body = NewCommand.safeParse(await request.json().catch(() => undefined));
  if (!body.success) {
    return json(400, { error: z.prettifyError(body.error) });
  }
  const id = crypto.randomUUID();
  options.store.queue(agentId, {
    id,
    type: body.data.type,
    payload: body.data.payload,
    timeout_seconds: body.data.timeout_seconds ?? null,
    created_at: new Date().toISOString(),
  });
  options.links.pump(agentId);
  options.changed();
  return json(201, { id });
}

/** Without its payload and output: they may be long. */
function summaryOf({ id, type, created_at, state, result }: CommandRecord) {
  return { id, type, created_at, state, success: result?.success ?? null };
}

/**
 * What has not been given out is taken back. What has been is cancelled over the WebSocket, at once
 * or when it is up again; REST has no message for it.
 */
function cancelRoute(
  options: AdminApiOptions,
  request: Request,
  agentId: string,
  commandId: string,
): Response {
  if (request.method !== 'POST') {
    return json(405, { error: 'POST to cancel' });
  }
  if (options.store.takeBack(agentId, commandId)) {
    options.changed();
    return json(200, { state: 'cancelled' });
  }
  const byRest = options.store.agent(agentId)?.transport === 'rest';
  if (byRest || !options.store.requestCancel(agentId, commandId)) {
    return json(409, { error: 'it is done, not known, or was given out over REST' });
  }
  options.links.pump(agentId);
  return json(202, { state: 'cancelling' });
}

/** POST adds one, DELETE takes all back. */
async function faultRoute(options: AdminApiOptions, request: Request): Promise<Response> {
  if (request.method === 'DELETE') {
    options.faults.clear();
    return new Response(null, { status: 204 });
  }
  const fault = Fault.safeParse(await request.json().catch(() => undefined));
  if (request.method !== 'POST' || !fault.success) {
    const error = fault.success ? 'POST a fault' : z.prettifyError(fault.error);
    return json(400, { error });
  }
  options.faults.add(fault.data);
  return json(201, fault.data);
}
