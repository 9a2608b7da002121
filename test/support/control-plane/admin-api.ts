import { z } from 'zod';
import { fleetPage } from './fleet-page.ts';
import type { ControlPlaneStore } from './store.ts';

const NewCommand = z.strictObject({
  type: z.string().min(1),
  payload: z.record(z.string(), z.unknown()).default({}),
  timeout_seconds: z.number().positive().optional(),
});

export interface AdminApiOptions {
  readonly store: ControlPlaneStore;
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
    const [root, agents, id, commands, commandId] = url.pathname
      .split('/')
      .slice(1)
      .map(decodeURIComponent);
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
      ? commandRoute(options, request, id, commandId)
      : json(404, { error: 'no such page' });
  };
}

async function commandRoute(
  options: AdminApiOptions,
  request: Request,
  agentId: string,
  commandId: string | undefined,
): Promise<Response> {
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
