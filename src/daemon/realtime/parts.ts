/** The streams of the local API. */
import type { Service } from '../../core/service.ts';
import type { PodLogSource, RealtimeSource } from '../../server/api/sources.ts';
import { agentLog } from './agent-log.ts';
import { realtimeEvents } from './events.ts';
import { podLogs } from './pod-logs.ts';

type StreamDeps = Parameters<typeof agentLog>[0] &
  Parameters<typeof realtimeEvents>[0] &
  Parameters<typeof podLogs>[0];

export function streamParts(deps: StreamDeps): {
  readonly realtime: RealtimeSource;
  readonly podLogs: PodLogSource;
  readonly services: readonly Service[];
} {
  const events = realtimeEvents(deps);
  const ownLog = agentLog(deps);
  const ofPods = podLogs(deps);
  return {
    realtime: { events: events.events, logs: ownLog.logs },
    podLogs: ofPods.source,
    services: [...events.services, ownLog.service, ofPods.service],
  };
}
