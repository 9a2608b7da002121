import { textWithin } from '../../core/bounded-body.ts';
import type { Clock, Files, Http } from '../../core/ports.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import { within } from '../../core/waiting.ts';
import { type CloudName, cloudByFirmware } from './dmi.ts';
import {
  type AskMetadata,
  type MachineMetadata,
  METADATA_READERS,
  type MetadataRequest,
} from './metadata.ts';

/** For all questions together, which are asked side by side. */
const METADATA_LIMIT_MS = 1_500;
const ANSWER_LIMIT_BYTES = 64 * 1024;
/** An answer is a name, an id or an address. */
const VALUE = /^[\w.:/-]{1,128}$/;

export interface CloudFacts extends MachineMetadata {
  /** As the wire names it; undefined where it is not known. */
  readonly provider: CloudName | undefined;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  /** Never through a proxy. */
  readonly http: Http;
}

/**
 * Whose machine this is, and what its cloud says of it. The firmware names the cloud, and only that
 * cloud's metadata service is asked: elsewhere nothing is sent anywhere. Never throws, and takes at
 * most `METADATA_LIMIT_MS`.
 * @param asksMetadata false: only the firmware counts
 */
export async function readCloudFacts(
  deps: Deps,
  asksMetadata: boolean,
  signal: AbortSignal,
): Promise<CloudFacts> {
  const provider = await cloudByFirmware(deps.files).catch(() => undefined);
  const read = provider === undefined || !asksMetadata ? undefined : METADATA_READERS[provider];
  if (read === undefined) {
    return { provider };
  }
  const metadata = await within(deps.clock, METADATA_LIMIT_MS, signal, (limited) =>
    read(asking(deps.http, limited)),
  );
  return { provider, ...sensible(metadata) };
}

/** The services speak plain HTTP, on addresses that never leave the machine's own host. */
function asking(http: Http, signal: AbortSignal): AskMetadata {
  return async (url, { method = 'GET', headers = {} }: MetadataRequest = {}) => {
    try {
      signal.throwIfAborted();
      const response = await http(url, { method, headers, signal, redirect: 'error' });
      const text = await textWithin(response, ANSWER_LIMIT_BYTES);
      return response.status === 200 ? text?.trim() : undefined;
    } catch {
      return undefined; // Not every cloud has everything; what is not told stays unknown.
    }
  };
}

/** Without what is no name or no address: a portal may answer in the place of a service. */
function sensible({ publicAddress, ...names }: MachineMetadata): MachineMetadata {
  const known = Object.entries(names).filter(([, value]) => VALUE.test(value ?? ''));
  return {
    ...Object.fromEntries(known),
    ...(ipVersion(publicAddress ?? '') === 0 ? {} : { publicAddress }),
  };
}
