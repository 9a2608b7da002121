import { msUntilBeat } from '../core/beat.ts';
import type { Clock, Log, ThisMachine } from '../core/ports.ts';
import type { Service } from '../core/service.ts';

/** A lease of DHCP that is renewed late comes back within it. */
export const LOOK_EVERY_MS = 10_000;

/**
 * Tells when an address that this machine had is gone, and has not come back until the next look. Addresses that
 * come are of no interest, and those of single links come and go with each pod.
 */
export function addressWatch(
  {
    clock,
    log,
    machine,
  }: { readonly clock: Clock; readonly log: Log; readonly machine: ThisMachine },
  onGone: () => void,
): Service {
  const addresses = () => machine.addresses().filter((each) => !/^fe[89ab]/i.test(each));
  const run = async (signal: AbortSignal) => {
    let known = addresses();
    let missed: readonly string[] = [];
    while (await clock.sleep(msUntilBeat(clock, LOOK_EVERY_MS), signal)) {
      const present = addresses();
      const missing = known.filter((each) => !present.includes(each));
      const gone = missing.filter((each) => missed.includes(each));
      missed = missing;
      known = [...present, ...missing.filter((each) => !gone.includes(each))];
      if (gone.length > 0) {
        log.info('an address of this machine is gone', { addresses: gone.join(', ') });
        onGone();
      }
    }
  };
  return { name: 'address-watch', start: async (signal) => ({ done: run(signal) }) };
}
