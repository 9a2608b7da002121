/** What happens at the agent, for all parts of the page that want to know of it. */
import type { RealtimeEvent } from '../../protocol/local-realtime.ts';
import type { Agent } from './agent.ts';
import { readStream } from './read-stream.ts';

export interface News {
  /** Whether it is heard just now. */
  isLive(): boolean;
  /** Calls at each event, until the returned function is called. */
  onEvent(listener: (event: RealtimeEvent) => void): () => void;
  /** Calls when `isLive` has changed. */
  onLive(listener: () => void): () => void;
  /** Hears until the signal; later on it goes on behind what it has heard. */
  hearUntil(signal: AbortSignal): Promise<void>;
}

export function agentNews(agent: Pick<Agent, 'open'>): News {
  const onEvent = new Set<(event: RealtimeEvent) => void>();
  const onLive = new Set<() => void>();
  let isLive = false;
  let after: string | undefined;
  const become = (next: boolean) => {
    const isChange = next !== isLive;
    isLive = next;
    for (const listener of isChange ? [...onLive] : []) {
      listener();
    }
  };
  return {
    isLive: () => isLive,
    onEvent: (listener) => listening(onEvent, listener),
    onLive: (listener) => listening(onLive, listener),
    hearUntil: (signal) =>
      readStream(
        agent,
        {
          name: 'GET /api/realtime/events',
          given: {},
          after,
          hear: (event, id) => {
            after = id;
            for (const listener of [...onEvent]) {
              listener(event);
            }
          },
          onOpen: become,
        },
        signal,
      ),
  };
}

function listening<Listener>(all: Set<Listener>, listener: Listener): () => void {
  all.add(listener);
  return () => void all.delete(listener);
}
