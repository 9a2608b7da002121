import { storedSockets } from '../../src/platform/kept-sockets.ts';

/** Of a process that no service manager has started. */
export const NO_KEPT_SOCKETS = storedSockets({ env: {}, notify: undefined }, process.pid);
