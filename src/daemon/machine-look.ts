/** What looks after this machine by itself: hourly, when an address goes, and at certificates. */
import type { Config } from '../config/schema.ts';
import type { K3sRole } from '../core/k3s-places.ts';
import type { Service } from '../core/service.ts';
import type { CertificateEnd, MachineFinding } from '../health/facts.ts';
import { restartTurn } from '../kubernetes/lease/restart-turn.ts';
import { addressWatch } from './address-watch.ts';
import { certificateWatch } from './certificate-watch.ts';
import { type CommonParts, ownNode, rootsHelper } from './common-parts.ts';
import type { ServerHealth } from './health-parts.ts';
import { hourlyLook } from './hourly-look.ts';
import { upkeepOfK3s } from './k3s-upkeep.ts';

export interface MachineLook {
  readonly findings: () => readonly MachineFinding[];
  readonly certificates: () => readonly CertificateEnd[];
  readonly services: readonly Service[];
}

/** @param health of a server; undefined until it is there */
export function machineLook(
  parts: CommonParts,
  config: Config,
  k3sRole: K3sRole,
  health: () => ServerHealth | undefined,
): MachineLook {
  const nodes = () => health()?.nodes.current();
  const turn =
    k3sRole === 'agent'
      ? undefined // A worker restarts when it likes.
      : restartTurn({ ...parts, client: parts.kubernetes, nodes }, ownNode(parts, config));
  const upkeep = upkeepOfK3s({ log: parts.log, askHelper: rootsHelper(parts), turn });
  const look = hourlyLook({ ...parts, upkeep: upkeep.after }, parts.lookAtMachine);
  const watch = certificateWatch(parts, k3sRole);
  return {
    findings: () => findingsOnce(upkeep.findings(), look.findings()),
    certificates: () => [...watch.ends(), ...upkeep.authority()],
    services: [look.service, addressWatch(parts, look.lookSoon), watch.service],
  };
}

/** What one check has found is told once, in the words of the first. */
function findingsOnce(
  first: readonly MachineFinding[],
  others: readonly MachineFinding[],
): readonly MachineFinding[] {
  return [...first, ...others.filter((each) => !first.some(({ check }) => check === each.check))];
}
