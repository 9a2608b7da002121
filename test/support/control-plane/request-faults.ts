import { z } from 'zod';
import type { Fault } from './faults.ts';

/** What trouble does to the connection that a request came by. */
export interface Line {
  /** Ends it without another byte. */
  cut(): void;
  /** Nothing passes for so long. */
  freeze(ms: number): void;
}

/** Handles a request with the trouble that is due for it. */
export async function answerWithFault(
  fault: Fault,
  line: Line,
  answer: () => Promise<Response>,
): Promise<Response> {
  switch (fault.kind) {
    case 'drop':
      return cutOff(line);
    case 'close':
      await answer();
      return cutOff(line);
    case 'stall':
      line.freeze(fault.delay_ms);
      return answer();
    case 'delay':
      await Bun.sleep(fault.delay_ms);
      return answer();
    case 'duplicate':
      return changeCommands(await answer(), (commands) => [...commands, ...commands]);
    case 'reorder':
      return changeCommands(await answer(), (commands) => commands.toReversed());
    case 'garbage':
      return new Response('<html>this is not the control plane</html>');
    case '429': {
      const seconds = Math.ceil(fault.retry_after_seconds ?? 1);
      return new Response('', { status: 429, headers: { 'retry-after': String(seconds) } });
    }
    case '401':
    case '500':
      return new Response('', { status: Number(fault.kind) });
    case 'error':
      throw new Error('The schema lets this trouble hit messages only');
  }
}

/** The answer goes nowhere: the connection is gone before it. */
function cutOff(line: Line): Response {
  line.cut();
  return new Response(null, { status: 500 });
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
