import { z } from 'zod';
import { Fault, type Faults } from './faults.ts';
import { fleetPage } from './fleet-page.ts';
import type { ControlPlaneStore } from './store.ts';

const NewCommand = z.strictObject({
  type: z.string().min(1),
  payload: z.record(z.string(), z.unknown()).default({}),
  timeout_seconds: z.number().positive().optional(),
});

export interface AdminApiOptions {
  readonly store: ControlPlaneStore;
  readonly faults: Faults;
  readonly changed: () => void;
}

const json = (status: number, body: unknown) => Response.json(body, { status });

/** The side for people and tests. Listens on loopback and refuses foreign Host headers. */
export function adminApi(options: AdminApiOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url);
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) {
      return json(403, { error: 'this address answers for this machine only' });
    }
    if (url.pathname === '/' && request.method === 'GET') {
      return new Response(fleetPage(options.store.agents()), {
        headers: { 'content-type': 'text/html; charset=utf-8' },
      });
    }
    const [root, agents, id, commands, commandId, action] = url.pathname
      .split('/')
      .slice(1)
      .map(decodeURIComponent);
    if (url.pathname === '/admin/faults') {
      return faultRoute(options, request);
    }
    if (root !== 'admin' || agents !== 'agents') {
      return json(404, { error: 'no such page' });
    }
    if (id === undefined) {
      return json(200, { agents: options.store.agents() });
    }
    const agent = options.store.agent(id);
    if (agent === undefined) {
      return json(404, { error: 'no such agent' });
    }
    if (commands === undefined) {
      return json(200, agent);
    }
    return commands === 'commands'
      ? commandRoute(options, request, id, commandId, action)
      : json(404, { error: 'no such page' });
  };
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
          progress: [],
          extra_results: command.extra_results,
        });
  }
  if (request.method !== 'POST') {
    return json(405, { error: 'POST a command' });
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
  options.changed();
  return json(201, { id });
}

/** REST has no message for it: only what has not been given out yet can be taken back. */
function cancelRoute(
  options: AdminApiOptions,
  request: Request,
  agentId: string,
  commandId: string,
): Response {
  if (request.method !== 'POST') {
    return json(405, { error: 'POST to cancel' });
  }
  return options.store.cancel(agentId, commandId)
    ? json(200, { state: 'cancelled' })
    : json(409, { error: 'it was given out already, or is not known' });
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
