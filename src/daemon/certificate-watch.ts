import type { K3sRole } from '../core/k3s-places.ts';
import { K3S_PORTS } from '../core/k3s-ports.ts';
import type { Clock, Log, Random, ReadCertificateEnd } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import { troubleOf } from '../core/trouble.ts';
import { within } from '../core/waiting.ts';
import type { CertificateEnd } from '../health/facts.ts';

/** Not while k3s may still start. */
export const FIRST_LOOK_MS = 2 * 60_000;
export const LOOK_EVERY_MS = 6 * 3_600_000;
/** So that many machines of one host do not look at the same time. */
const JITTER = 0.1;
const ANSWER_MS_MAX = 5_000;

/** What listens where, as people call it. */
const NAMES: Readonly<Record<number, string>> = { 6443: 'Kubernetes API', 10250: 'kubelet' };

export interface CertificateWatch {
  /** As it was at the last look; what could not be asked keeps what was known of it. */
  readonly ends: () => readonly CertificateEnd[];
  readonly service: Service;
}

/**
 * Looks when the certificates end that k3s shows on this machine. It makes all of them at the same time, and
 * anew only when it starts; the files are root's.
 */
export function certificateWatch(
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Log;
    readonly certificateEnd: ReadCertificateEnd;
  },
  role: K3sRole,
): CertificateWatch {
  const known = new Map<number, CertificateEnd>();
  const look = async (port: number, signal: AbortSignal) => {
    try {
      const address = { hostname: '127.0.0.1', port };
      const endsAt = await within(deps.clock, ANSWER_MS_MAX, signal, (limited) =>
        deps.certificateEnd(address, limited),
      );
      known.set(port, { of: NAMES[port] ?? String(port), endsAt });
    } catch (thrown) {
      deps.log.debug('a certificate could not be looked at', { port, error: troubleOf(thrown) });
    }
  };
  const run = async (signal: AbortSignal) => {
    let waitMs = FIRST_LOOK_MS;
    while (await deps.clock.sleep(waitMs, signal)) {
      for (const port of K3S_PORTS[role]) {
        await look(port, signal);
      }
      waitMs = LOOK_EVERY_MS * (1 + JITTER * (deps.random.fraction() - 0.5));
    }
  };
  return {
    ends: () => [...known.values()],
    service: { name: 'certificate-watch', start: async (signal) => ({ done: run(signal) }) },
  };
}
