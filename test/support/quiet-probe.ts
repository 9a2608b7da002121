import type { Probe } from '../../src/core/probe.ts';

/** A network in which every way leads to whom it should. */
export const QUIET_PROBE: Probe = {
  resolve: async () => ['127.0.1.1'],
  walk: async ({ ask }) => ({
    steps: [],
    failure: undefined,
    certificate: undefined,
    answer: {
      status: ask === 'websocket' ? 401 : 200,
      location: undefined,
      pageBy: undefined,
      serverTimeMs: Date.now(),
      sentAtMs: Date.now(),
      receivedAtMs: Date.now(),
    },
  }),
  askResolver: async () => ({ kind: 'answered', ms: 1 }),
};
