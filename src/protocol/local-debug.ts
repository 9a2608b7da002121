/** What the local API tells of the running program, for people who look for a cause. */
import * as z from 'zod';

/** Seconds of a profile. */
const SECONDS_MAX = 60;
const SECONDS_USUAL = 10;

export const ProfileQuery = z.strictObject({
  seconds: z.coerce
    .number()
    .int()
    .min(1)
    .max(SECONDS_MAX)
    .default(SECONDS_USUAL)
    .describe('how long it is watched'),
});
export type ProfileQuery = z.infer<typeof ProfileQuery>;

/** GET /debug/profile: Profiler.Profile of the Chrome DevTools Protocol. */
export const CpuProfile = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({
        functionName: z.string(),
        scriptId: z.string(),
        url: z.string(),
        lineNumber: z.number(),
        columnNumber: z.number(),
      }),
      hitCount: z.number(),
      children: z.array(z.number()),
    }),
  ),
  /** Microseconds. */
  startTime: z.number(),
  endTime: z.number(),
  /** Ids of nodes. */
  samples: z.array(z.number()),
  /** Microseconds between samples. */
  timeDeltas: z.array(z.number()),
});
export type CpuProfile = z.infer<typeof CpuProfile>;

/** GET /debug/heap: a heap snapshot as V8 writes it. */
export const HeapSnapshot = z.looseObject({
  snapshot: z.looseObject({}),
  nodes: z.array(z.number()),
  edges: z.array(z.number()),
  strings: z.array(z.string()),
});
