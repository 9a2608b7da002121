/** Traces, where they are wanted: otherwise nothing of it is loaded. */
import type { Config } from '../config/schema.ts';
import type { Clock, Files, Log, Network, ThisMachine } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { Traces } from '../core/traces.ts';
import { BUILD } from '../core/version.ts';
import type { LiveAccess } from './control-plane-access.ts';
import { type NetworkDeps, networkOut } from './over-network.ts';

interface Deps extends NetworkDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Log;
  readonly machine: Pick<ThisMachine, 'hostname'>;
  readonly access: Pick<LiveAccess, 'current' | 'onChange'>;
  readonly agentId: () => string;
}

export interface Tracing {
  readonly traces: Traces;
  readonly service: Service;
}

/** The collector is reached as everything else outside of this machine: by the proxy, with the same trust. */
export async function tracing(deps: Deps, config: Config): Promise<Tracing | undefined> {
  const { endpoint, headers_file: headersFile } = config.traces;
  if (endpoint === undefined) {
    return undefined;
  }
  const { openTelemetryTraces } = await import('../telemetry/traces/opentelemetry.ts');
  const { readCollectorHeaders } = await import('../telemetry/traces/collector-headers.ts');
  const network = lastingNetwork(deps, config);
  const collector = {
    endpoint,
    headers: async () =>
      headersFile === undefined
        ? {}
        : await readCollectorHeaders(deps.files, headersFile, endpoint),
  };
  const { traces, service } = openTelemetryTraces({ ...deps, http: network.http }, collector, {
    'service.name': 'pipeops-agent',
    'service.version': BUILD.version,
    'service.instance.id': deps.agentId(),
    'host.name': deps.machine.hostname(),
    ...(config.cluster.name === '' ? {} : { 'k8s.cluster.name': config.cluster.name }),
  });
  const start = async (signal: AbortSignal) => {
    const { done } = await service.start(signal);
    return { done: done.finally(network.close) };
  };
  return { traces, service: { ...service, start } };
}

/** One for all requests, made anew at the next one after proxy or certificates have changed. */
function lastingNetwork(deps: Deps, config: Config): Pick<Network, 'http' | 'close'> {
  let made: Promise<Network> | undefined;
  const close = () => {
    void made?.then(
      (network) => network.close(),
      () => undefined, // Who asked for it was told.
    );
    made = undefined;
  };
  const stopHearing = deps.access.onChange(close);
  return {
    http: async (url, init) => {
      made ??= networkOut(deps, config);
      try {
        return await (await made).http(url, init);
      } catch (thrown) {
        close(); // The next try finds names, proxy and certificates anew.
        throw thrown;
      }
    },
    close: () => {
      stopHearing();
      close();
    },
  };
}
