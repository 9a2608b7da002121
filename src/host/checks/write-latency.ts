import { writeLatency } from '../facts/write-latency.ts';
import { type Check, EVERYWHERE } from './check.ts';

/** etcd wants 10 ms for what this probe does in about twice the time (etcd.io, "Hardware"). */
const LATENCY_MS_MAX = 25;

export const fastWrites: Check = {
  id: 'disk-latency',
  title: 'Speed of the disk',
  severity: 'warns',
  cost: 'probe',
  roles: EVERYWHERE,
  why: 'Kubernetes answers only after its database has written: on a slow disk it is slow, and several servers with etcd lose each other.',
  remedy: `An SSD, or a faster class of volume. Memory cards and network disks are slow. One server alone, with
SQLite, bears 100 ms; several servers, with etcd, do not. The probe writes some files of 2 KiB beside k3s' data and removes
them.`,
  needs: [writeLatency],
  run: async (facts) => {
    const { path, ms } = await facts(writeLatency);
    return ms <= LATENCY_MS_MAX
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `The disk of ${path} takes ${Math.round(ms)} ms for a small write`,
          hint: 'Use a faster disk for it, an SSD',
          details: { path, milliseconds: Math.round(ms) },
        };
  },
};
