import type { Clock } from '../core/ports.ts';
import type { MeasureRequest } from '../proxy/forward.ts';
import { codeClass } from './code-class.ts';
import type { Histograms } from './metrics/histograms.ts';

/** Of proxied requests that end by themselves: how long a stream lasts is its caller's choice. */
export function proxyDurations({
  clock,
  histograms,
  day,
}: {
  readonly clock: Clock;
  readonly histograms: Histograms;
  /** For the charts of the page. */
  readonly day: { readonly measured: (durationMs: number) => void };
}): MeasureRequest {
  return ({ client }) => {
    const startedAt = clock.monotonic();
    return ({ kind, status }) => {
      if (kind === 'short') {
        // `loopback:kubectl`: what the caller says of itself is no label.
        const [door = ''] = client.split(':', 1);
        const durationMs = clock.monotonic() - startedAt;
        const labels = { door, code: codeClass(status) };
        histograms.observe(
          'pipeops_agent_proxy_request_duration_seconds',
          labels,
          durationMs / 1_000,
        );
        day.measured(durationMs);
      }
    };
  };
}
