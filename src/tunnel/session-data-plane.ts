import type { DataPlane } from '../control-plane/session/ports.ts';
import type { TunnelDataPlane } from './data-plane.ts';

/**
 * Proxy and tunnel over one connection. Binary messages are the tunnel's once it is open; before
 * that they are bodies of proxied requests.
 */
export function sessionDataPlane(planes: {
  readonly proxy: DataPlane;
  readonly tunnel: TunnelDataPlane;
}): DataPlane {
  return {
    types: [...planes.proxy.types, ...planes.tunnel.types],
    attach: (link) => {
      const proxy = planes.proxy.attach(link);
      const tunnel = planes.tunnel.attach(link);
      return {
        message: (envelope) =>
          planes.tunnel.types.includes(envelope.type)
            ? tunnel.message(envelope)
            : proxy.message(envelope),
        binary: (data) => (tunnel.isActive ? tunnel.binary(data) : proxy.binary(data)),
        goAway: () => {
          tunnel.goAway();
          proxy.goAway();
        },
        underWay: () => tunnel.underWay() + proxy.underWay(),
        close: () => {
          tunnel.close();
          proxy.close();
        },
      };
    },
  };
}
