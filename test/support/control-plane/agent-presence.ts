import type { AgentRecord } from './agent-store.ts';

/** An agent over REST sends a heartbeat every 30 s, and polls more often: silent for three, it is down. */
export const REST_SILENCE_LIMIT_MS = 3 * 30_000;

/**
 * `gone`: it said itself that it leaves for good. `stopped`: it closed its WebSocket, and may be back;
 * over REST that looks like `down`.
 */
export type Session = 'connected' | 'stopped' | 'down' | 'gone';

export function sessionOf(
  agent: Pick<AgentRecord, 'transport' | 'left_at' | 'seen_at'>,
  webSocket: { readonly isUp: boolean; readonly wasStopped: boolean },
  now: Date,
): Session {
  if (webSocket.isUp) {
    return 'connected';
  }
  if (agent.left_at !== null) {
    return 'gone';
  }
  if (agent.transport !== 'rest') {
    return webSocket.wasStopped ? 'stopped' : 'down';
  }
  const silentMs = agent.seen_at === null ? Infinity : now.getTime() - Date.parse(agent.seen_at);
  return silentMs <= REST_SILENCE_LIMIT_MS ? 'connected' : 'down';
}
