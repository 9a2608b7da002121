/**
 * The one table of what can be wrong while the agent runs, in the order in which it is told: `/ready`,
 * `status`, systemd's status line, metrics and heartbeats all read it, and docs/TROUBLESHOOTING.md has a
 * section for each.
 */
import type { Warnable } from '../warnable.ts';
import { journal, policy, settings, update } from './agent.ts';
import {
  desired,
  joinTokens,
  kubernetes,
  memory,
  otherNodes,
  ownNode,
  shortages,
} from './cluster.ts';
import { certificates, disk, machine, snapshots } from './machine.ts';
import { clock, session, sessionTransport, sharing } from './session.ts';
import { clusterServer, kubelet } from './worker.ts';

export const WARNABLES: readonly Warnable[] = [
  session,
  policy,
  journal,
  kubernetes,
  memory,
  ownNode,
  kubelet,
  clusterServer,
  // From here on the agent is ready nevertheless.
  otherNodes,
  shortages,
  joinTokens,
  desired,
  clock,
  sessionTransport,
  sharing,
  settings,
  update,
  disk,
  certificates,
  snapshots,
  machine,
];
