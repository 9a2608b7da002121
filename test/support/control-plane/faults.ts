/** Trouble on demand: what networks and servers do to an agent, for tests. */
import { z } from 'zod';

/** Requests or messages that one fault may hit. */
const COUNT_MAX = 1_000;
const DELAY_MS_MAX = 120_000;

/** These are answers to requests; a message has no status. */
const STATUSES = ['401', '429', '500'] as const;

export const Fault = z
  .strictObject({
    /**
     * drop: what was sent is lost; of a request the connection too. close: it has its effect, then
     * the connection is cut. delay: it is handled later. duplicate, reorder: of a request the list
     * of commands is; a message comes twice, or after the next one. garbage: it is no JSON. stall:
     * the connection stays open for `delay_ms`, and nothing passes. error: the message has no
     * effect and is answered with `error`. 401, 429, 500: that status is the answer.
     */
    kind: z.enum([
      ...(['drop', 'close', 'delay', 'duplicate', 'reorder', 'garbage', 'stall', 'error'] as const),
      ...STATUSES,
    ]),
    /** request: an HTTP request, the WebSocket's upgrade too. message: one over the WebSocket. */
    on: z.enum(['request', 'message']).default('request'),
    /** How many it hits, the next ones. */
    count: z.int().min(1).max(COUNT_MAX).default(1),
    /** Only requests whose path contains this: `/heartbeat`. */
    path: z.string().default(''),
    /** Only messages of this type; of every type when empty. */
    message: z.string().default(''),
    /** in: what the agent sends. out: what it is sent. */
    direction: z.enum(['in', 'out']).default('out'),
    delay_ms: z.int().min(0).max(DELAY_MS_MAX).default(1_000),
    /** Of `error`: its text, and for how long it tells the agent to stay away. */
    error: z.string().max(1_000).default('a fault that was asked for'),
    retry_after_seconds: z.number().min(0).optional(),
  })
  .refine((fault) => fault.on === 'request' || !STATUSES.some((status) => status === fault.kind), {
    message: 'a message has no status',
  })
  .refine(
    (fault) => fault.kind !== 'error' || (fault.on === 'message' && fault.direction === 'in'),
    {
      message: 'only a message of the agent is answered with an error',
    },
  );
export type Fault = z.infer<typeof Fault>;

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The trouble that is due for this request; it counts as used. */
  ofRequest(path: string): Fault | undefined;
  /** The trouble that is due for this message; it counts as used. The type is asked for when needed. */
  ofMessage(direction: Fault['direction'], type: () => string): Fault | undefined;
}

export function createFaults(): Faults {
  let waiting: { readonly fault: Fault; left: number }[] = [];
  const take = (hits: (fault: Fault) => boolean): Fault | undefined => {
    const entry = waiting.find(({ fault }) => hits(fault));
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
    ofRequest: (path) => take((fault) => fault.on === 'request' && path.includes(fault.path)),
    ofMessage: (direction, type) =>
      take(
        (fault) =>
          fault.on === 'message' &&
          fault.direction === direction &&
          (fault.message === '' || fault.message === type()),
      ),
  };
}
