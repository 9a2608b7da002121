import type { ServerSources } from '../../src/server/sources.ts';

const notAsked = () => Promise.reject(new Error('not asked for'));

/** What the doors show, where a test asks for none of it. */
export const NO_SOURCES: ServerSources = {
  version: { version: '', commit: '' },
  ready: async () => ({ ready: true, reasons: [] }),
  metrics: async () => ({ type: 'text/plain', text: '' }),
  health: notAsked,
  detailed: notAsked,
  policy: notAsked,
  session: notAsked,
  settings: () => ({ settings: {} }),
  policyRules: notAsked,
  refusals: () => [],
  features: notAsked,
  connectivity: notAsked,
  runtime: () => {
    throw new Error('not asked for');
  },
  day: () => {
    throw new Error('not asked for');
  },
  logLevel: () => ({ level: 'info', configured: 'info', until: null }),
  changeLogLevel: ({ level }) => ({ level, configured: 'info', until: null }),
  commands: {
    list: () => ({ items: [], next: null }),
    find: () => undefined,
    cancel: async () => undefined,
  },
  dashboardLink: () => {
    throw new Error('not asked for');
  },
  dashboard: {
    signIn: {
      newLink: () => ({ code: '', expiresAt: new Date(0) }),
      open: () => undefined,
      accepts: () => false,
      leave: () => undefined,
    },
    readPageFile: async () => undefined,
  },
  realtime: {
    events: () => {
      throw new Error('not asked for');
    },
    logs: () => {
      throw new Error('not asked for');
    },
  },
  auth: { accepts: () => false },
  tokenFile: '/local-token',
  corsOrigins: [],
};
