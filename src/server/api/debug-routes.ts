/** For people who look for a cause in the running program. */
import { AgentError } from '../../core/errors.ts';
import { CpuProfile, HeapSnapshot, ProfileQuery } from '../../protocol/local-debug.ts';
import { NoQuery } from '../../protocol/local-queries.ts';
import { type Route, type RouteContext, route, streamRoute } from './route.ts';
import type { ProfilingSource } from './sources.ts';

export function debugRoutes(): readonly Route[] {
  return [
    route({
      path: '/debug/profile',
      summary:
        "Which code runs, as Chrome's DevTools read it (`.cpuprofile`). Only with `debug.profiling`.",
      params: ProfileQuery,
      answer: CpuProfile,
      handle: (context, query) => profilingOf(context).cpuProfile(query, context.signal),
    }),
    streamRoute({
      path: '/debug/heap',
      summary:
        "What the memory holds, secrets among it, as Chrome's DevTools read it (`.heapsnapshot`). The agent stands still while it is made. Only with `debug.profiling`.",
      params: NoQuery,
      answer: HeapSnapshot,
      format: 'json',
      handle: (context) => profilingOf(context).heap(),
    }),
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
