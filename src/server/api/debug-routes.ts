/** For people who look for a cause in the running program. */
import { AgentError } from '../../core/errors.ts';
import { type Route, type RouteContext, route, streamRoute } from './route.ts';
import type { ProfilingSource } from './sources.ts';

export function debugRoutes(): readonly Route[] {
  return [
    route('GET /debug/profile', (context, query) =>
      profilingOf(context).cpuProfile(query, context.signal),
    ),
    streamRoute('GET /debug/heap', (context) => profilingOf(context).heap()),
  ];
}

function profilingOf({ sources }: RouteContext): ProfilingSource {
  if (sources.profiling === undefined) {
    throw new AgentError('NOT_FOUND', 'Profiling is off', {
      hint: 'Set "debug: {profiling: true}" in config.yaml, then: sudo systemctl restart pipeops-agent',
    });
  }
  return sources.profiling;
}
