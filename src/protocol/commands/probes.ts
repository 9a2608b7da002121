/** Probes of a container (kubernetes.io, "Liveness, Readiness, and Startup Probes"). */
import * as z from 'zod';
import { ProgramText, UnicodeText } from './fields.ts';

/** Most seconds of a period, a timeout or a delay. */
const PROBE_SECONDS_MAX = 3_600;
const PROBE_THRESHOLD_MAX = 1_000;

const port = z.union([
  z.int().min(1).max(65_535),
  z.string().regex(/^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/, 'must be a number or a port name'),
]);
const seconds = z.int().min(1).max(PROBE_SECONDS_MAX);

const Probe = z
  .strictObject({
    http: z
      .strictObject({
        path: UnicodeText.startsWith('/').max(2_048).default('/'),
        port,
        scheme: z.enum(['HTTP', 'HTTPS']).default('HTTP'),
      })
      .optional(),
    tcp: z.strictObject({ port }).optional(),
    exec: z.strictObject({ command: z.array(ProgramText.max(4_096)).min(1).max(64) }).optional(),
    initial_delay_seconds: z.int().min(0).max(PROBE_SECONDS_MAX).optional(),
    period_seconds: seconds.optional(),
    timeout_seconds: seconds.optional(),
    success_threshold: z.int().min(1).max(PROBE_THRESHOLD_MAX).optional(),
    failure_threshold: z.int().min(1).max(PROBE_THRESHOLD_MAX).optional(),
  })
  .refine(
    ({ http, tcp, exec }) => [http, tcp, exec].filter((each) => each !== undefined).length === 1,
    'must have exactly one of http, tcp and exec',
  );
export type Probe = z.infer<typeof Probe>;

/** Kubernetes takes only 1 here: one success ends the trouble. */
const ProbeOfOneSuccess = Probe.refine(
  ({ success_threshold = 1 }) => success_threshold === 1,
  'success_threshold must be 1 here',
);

export const Probes = z.strictObject({
  liveness: ProbeOfOneSuccess.optional(),
  readiness: Probe.optional(),
  startup: ProbeOfOneSuccess.optional(),
});
export type Probes = z.infer<typeof Probes>;
