/** The parts of prom-client that are used: its index brings six times as much (docs/decisions/0043-metrics.md). */

declare module 'prom-client/lib/counter.js' {
  import { Counter } from 'prom-client';
  export = Counter;
}
declare module 'prom-client/lib/gauge.js' {
  import { Gauge } from 'prom-client';
  export = Gauge;
}
declare module 'prom-client/lib/histogram.js' {
  import { Histogram } from 'prom-client';
  export = Histogram;
}
declare module 'prom-client/lib/registry.js' {
  import { Registry, type RegistryContentType } from 'prom-client';

  /** Its own types leave out what the constructor takes. */
  class TypedRegistry extends Registry {
    constructor(type: RegistryContentType);
  }
  export = TypedRegistry;
}
