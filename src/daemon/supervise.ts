import type { Clock, Log } from '../core/ports.ts';
import type { RunningService, Service } from '../core/service.ts';
import { settledWithin } from '../core/waiting.ts';

/** How long one service may take to stop before the next one is stopped anyway. */
const STOP_GRACE_MS = 10_000;

interface Started {
  readonly service: Service;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * Starts services in order and stops them in reverse, when the signal aborts or one of them fails.
 * Throws the first failure.
 * @param onReady called once all have started
 */
export async function supervise(
  deps: { readonly clock: Clock; readonly log: Log },
  services: readonly Service[],
  onReady: () => void,
  signal: AbortSignal,
): Promise<void> {
  const started: Started[] = [];
  try {
    for (const service of services) {
      const stop = new AbortController();
      const { done } = await startUnlessStopped(service, stop, signal);
      started.push({ service, stop, done });
    }
    onReady();
    await Promise.race([aborted(signal), ...started.map(endOf)]);
  } finally {
    for (const each of started.reverse()) {
      await stopOne(deps, each);
    }
  }
}

/** A service may wait long until it is usable: it hears of the end before it is. */
async function startUnlessStopped(
  service: Service,
  stop: AbortController,
  signal: AbortSignal,
): Promise<RunningService> {
  const onAbort = () => stop.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  try {
    return await service.start(stop.signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A service that ends without being asked to is as wrong as one that fails. */
async function endOf(started: Started): Promise<void> {
  await started.done;
  if (!started.stop.signal.aborted) {
    throw new Error(`The service "${started.service.name}" ended by itself`);
  }
}

async function stopOne(
  deps: { readonly clock: Clock; readonly log: Log },
  started: Started,
): Promise<void> {
  started.stop.abort();
  try {
    const graceMs = started.service.stopGraceMs ?? STOP_GRACE_MS;
    if (!(await settledWithin(deps.clock, graceMs, undefined, started.done))) {
      deps.log.warn('a service did not stop in time', { service: started.service.name });
    }
  } catch {
    // `supervise` throws this failure already, or it came while everything was stopping anyway.
    deps.log.debug('a service failed while it stopped', { service: started.service.name });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
    }
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
