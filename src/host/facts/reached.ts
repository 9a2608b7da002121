/** How far each way to an endpoint leads, from this machine, now. */
import type { Probe, StepFailure, Walk, Way } from '../../core/probe.ts';
import { type ProxyServer, proxyFor } from '../../core/proxy-settings.ts';
import { withoutBrackets } from '../../core/text/host-and-port.ts';
import { ipVersion } from '../../core/text/ip-version.ts';
import { troubleOf } from '../../core/trouble.ts';
import { settledWithin, within } from '../../core/waiting.ts';
import type { FactDeps } from './fact.ts';
import { outboundProxy } from './outbound-proxy.ts';

/** Of all steps of a way together, of which some answer: so many times the limit of one. */
const WAY_STEPS = 2;
/** A proxy that leads somewhere does so within this time: then nothing is tried around it. */
const PROXY_HEAD_START_MS = 400;

export interface Endpoint {
  /** As part of a sentence: `the control plane`. */
  readonly name: string;
  readonly url: URL;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
  readonly ask: Way['ask'];
  readonly beginsSmall?: boolean;
  /** Never through a proxy, whatever the settings say. */
  readonly isInside?: true;
}

export interface ReachedWay {
  /** Through the proxy that is set, or without one. */
  readonly way: 'proxy' | 'direct';
  /** That of the server, or of the proxy; empty where its name has none. */
  readonly address: string;
  readonly walk: Walk;
}

export interface Reached {
  readonly endpoint: Endpoint;
  /** `host:port` of the proxy that is set for it; empty for none. */
  readonly proxy: string;
  /** The ways that the agent takes: any of them will do. Never empty. */
  readonly usual: readonly ReachedWay[];
  /** Around the proxy, to know whether it is at fault; none where it is not. */
  readonly around: readonly ReachedWay[];
}

/** Walks the ways side by side, over IPv4 and over IPv6; around a proxy where it does not lead there. */
export async function reach(deps: FactDeps, endpoint: Endpoint): Promise<Reached> {
  const probe = await deps.probe();
  const proxy =
    endpoint.isInside === true ? undefined : proxyFor(endpoint.url, await outboundProxy(deps));
  const walked = waysOver(deps, probe, endpoint, proxy);
  if (proxy === undefined) {
    return { endpoint, proxy: '', usual: await walked, around: [] };
  }
  const around = await aroundUnlessReached(deps, walked, (signal) =>
    waysOver({ ...deps, signal }, probe, endpoint, undefined),
  );
  return { endpoint, proxy: `${proxy.host}:${proxy.port}`, usual: await walked, around };
}

/**
 * Where there is a proxy, firewalls often drop all that does not take it. So the ways around it are taken
 * only when it does not lead there soon, and they are not waited for once it does.
 */
async function aroundUnlessReached(
  { clock, signal }: FactDeps,
  usual: Promise<readonly ReachedWay[]>,
  take: (signal: AbortSignal) => Promise<readonly ReachedWay[]>,
): Promise<readonly ReachedWay[]> {
  const reached = usual.then((ways) => ways.some(({ walk: { failure } }) => failure === undefined));
  const isKnown = await settledWithin(clock, PROXY_HEAD_START_MS, signal, reached);
  if (isKnown && (await reached)) {
    return [];
  }
  const work = new AbortController();
  try {
    const around = take(AbortSignal.any([signal, work.signal]));
    return await Promise.race([around, reached.then((does) => (does ? [] : around))]);
  } finally {
    work.abort();
  }
}

async function waysOver(
  deps: FactDeps,
  probe: Probe,
  { url, ca, ask, beginsSmall = false }: Endpoint,
  proxy: ProxyServer | undefined,
): Promise<readonly ReachedWay[]> {
  const way = proxy === undefined ? 'direct' : 'proxy';
  const host = proxy?.host ?? withoutBrackets(url.hostname);
  const startedAt = deps.clock.monotonic();
  const takenMs = () => Math.round(deps.clock.monotonic() - startedAt);
  let addresses: readonly string[];
  try {
    addresses = await probe.resolve(host, deps.stepLimitMs);
  } catch (thrown) {
    const isSilent = takenMs() >= deps.stepLimitMs;
    const why = troubleOf(thrown);
    return [failedWay(way, { step: 'dns', ms: takenMs(), kind: 'other', why, isSilent })];
  }
  const dns = { step: 'dns', ms: takenMs() } as const;
  const walked = firstOfEach(addresses).map(async (address): Promise<ReachedWay> => {
    const given = { url, address, proxy, ca, ask, beginsSmall, stepLimitMs: deps.stepLimitMs };
    const walk = await within(deps.clock, WAY_STEPS * deps.stepLimitMs, deps.signal, (signal) =>
      probe.walk(given, signal),
    );
    return { way, address, walk: { ...walk, steps: [dns, ...walk.steps] } };
  });
  return walked.length > 0
    ? Promise.all(walked)
    : [failedWay(way, { ...dns, kind: 'other', why: 'its name has no address', isSilent: false })];
}

/** One address of each version of IP. */
function firstOfEach(addresses: readonly string[]): readonly string[] {
  return ([4, 6] as const).flatMap(
    (version) => addresses.find((address) => ipVersion(address) === version) ?? [],
  );
}

function failedWay(way: ReachedWay['way'], failure: StepFailure): ReachedWay {
  return {
    way,
    address: '',
    walk: { steps: [], failure, certificate: undefined, answer: undefined },
  };
}
