import type { HealthFacts } from '../../src/health/facts.ts';

/** Of an agent about which nothing bad is known. */
export const NOTHING_WRONG: HealthFacts = {
  now: new Date('2026-01-01T00:00:00.000Z'),
  session: undefined,
  sharing: [],
  clockSkewMs: undefined,
  policyProblem: undefined,
  journalTrouble: undefined,
  memoryTrouble: undefined,
  kubernetesTrouble: undefined,
  nodes: undefined,
  trespassers: [],
  desired: [],
  kubeletTrouble: undefined,
  server: undefined,
  unknownSettings: [],
  findings: [],
  certificates: [],
  k3sUnit: 'k3s',
  versions: { running: '1.0.0', installed: '1.0.0' },
};
