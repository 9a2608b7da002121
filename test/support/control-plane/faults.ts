/** Trouble on demand: what networks and servers do to an agent, for tests. */
import { z } from 'zod';

/** Requests that one fault may hit. */
const COUNT_MAX = 1_000;
const DELAY_MS_MAX = 120_000;

export const Fault = z.strictObject({
  /**
   * drop: the request is lost. close: it has its effect, and its answer is lost. delay: it is
   * handled later. duplicate, reorder: the list of commands is. garbage: the answer is no JSON.
   * 401, 429, 500: that status is the answer.
   */
  kind: z.enum(['drop', 'close', 'delay', 'duplicate', 'reorder', 'garbage', '401', '429', '500']),
  /** How many requests it hits, the next ones. */
  count: z.int().min(1).max(COUNT_MAX).default(1),
  /** Only requests whose path contains this: `/heartbeat`. */
  path: z.string().default(''),
  delay_ms: z.int().min(0).max(DELAY_MS_MAX).default(1_000),
});
export type Fault = z.infer<typeof Fault>;

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** Handles a request, with the trouble that is due for it. */
  handle(request: Request, answer: (request: Request) => Promise<Response>): Promise<Response>;
}

export function createFaults(): Faults {
  let waiting: { readonly fault: Fault; left: number }[] = [];
  const take = (path: string): Fault | undefined => {
    const entry = waiting.find(({ fault }) => path.includes(fault.path));
    if (entry === undefined) {
      return undefined;
    }
    entry.left -= 1;
    waiting = waiting.filter(({ left }) => left > 0);
    return entry.fault;
  };
  return {
    add: (fault) => {
      waiting.push({ fault, left: fault.count });
    },
    clear: () => {
      waiting = [];
    },
    handle: async (request, answer) => {
      const fault = take(new URL(request.url).pathname);
      return fault === undefined ? answer(request) : answerWith(fault, request, answer);
    },
  };
}

async function answerWith(
  fault: Fault,
  request: Request,
  answer: (request: Request) => Promise<Response>,
): Promise<Response> {
  switch (fault.kind) {
    case 'drop':
      return brokenConnection();
    case 'close':
      await answer(request);
      return brokenConnection();
    case 'delay':
      await Bun.sleep(fault.delay_ms);
      return answer(request);
    case 'duplicate':
      return changeCommands(await answer(request), (commands) => [...commands, ...commands]);
    case 'reorder':
      return changeCommands(await answer(request), (commands) => commands.toReversed());
    case 'garbage':
      return new Response('<html>this is not the control plane</html>');
    case '429':
      return new Response('', { status: 429, headers: { 'retry-after': '1' } });
    case '401':
    case '500':
      return new Response('', { status: Number(fault.kind) });
  }
}

/** Bun closes the connection when the body of an answer fails. */
function brokenConnection(): Response {
  return new Response(
    new ReadableStream({
      start: (controller) => controller.error(new Error('a fault that was asked for')),
    }),
  );
}

async function changeCommands(
  response: Response,
  change: (commands: readonly unknown[]) => readonly unknown[],
): Promise<Response> {
  const body: unknown = await response.json().catch(() => undefined);
  const list = z.looseObject({ commands: z.array(z.unknown()) }).safeParse(body);
  return list.success
    ? Response.json({ ...list.data, commands: change(list.data.commands) })
    : Response.json(body ?? {}, { status: response.status });
}
