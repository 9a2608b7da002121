import type { Network } from '../core/ports.ts';
import type { LiveAccess } from './control-plane-access.ts';

/**
 * A network that is made anew, at its next use, after the access to the control plane has changed.
 */
export function renewedNetwork(access: Pick<LiveAccess, 'onChange'>, make: () => Network): Network {
  let made: Network | undefined;
  const current = () => {
    made ??= make();
    return made;
  };
  const close = () => {
    made?.close();
    made = undefined;
  };
  access.onChange(close);
  return {
    http: (url, init) => current().http(url, init),
    dial: (url, options, handlers) => current().dial(url, options, handlers),
    close,
  };
}
