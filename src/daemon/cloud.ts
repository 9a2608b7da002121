import type { Clock, Files, Http } from '../core/ports.ts';
import { type CloudFacts, readCloudFacts } from '../host/cloud/facts.ts';

/** A public address may change while the machine runs. */
const FRESH_MS = 3_600_000;

/** Whose machine this is, asked at the start and, later, at a registration. */
export interface LiveCloud {
  /** At most 1.5 s, and only where it is not known or an hour old. Never throws. */
  read(): Promise<CloudFacts>;
  /** What is known now. */
  known(): CloudFacts;
}

/** Begins to ask at once, and nobody waits for it before the first registration. */
export function liveCloud(
  deps: { readonly clock: Clock; readonly files: Files; readonly http: Http },
  asksMetadata: boolean,
  signal: AbortSignal,
): LiveCloud {
  let known: CloudFacts = { provider: undefined };
  const ask = async () => {
    known = await readCloudFacts(deps, asksMetadata, signal);
    return known;
  };
  let askedAt = deps.clock.monotonic();
  let asking = ask();
  return {
    read: () => {
      if (deps.clock.monotonic() - askedAt > FRESH_MS) {
        askedAt = deps.clock.monotonic();
        asking = ask();
      }
      return asking;
    },
    known: () => known,
  };
}
