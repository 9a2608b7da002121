/** What a person may give as a network of pods or Services. */
import * as z from 'zod';
import { ipRange, isCidr } from '../core/ip-range.ts';

/** k3s' own ones, and so those that it takes where it is told none, are of IPv4. */
const USUAL_VERSIONS = [4];

/** One, or one of IPv4 and one of IPv6. */
export const ClusterNetworks = z
  .array(z.string())
  .superRefine((networks, context) => {
    for (const network of networks.filter((each) => !isCidr(each) || !each.includes('/'))) {
      context.addIssue(`"${network}" is not a network such as 10.44.0.0/16`);
    }
  })
  .superRefine((networks, context) => {
    const versions = versionsOf(networks);
    if (new Set(versions).size < versions.length) {
      context.addIssue('must be one network, or one of IPv4 and one of IPv6');
    }
  });

/** Kubernetes wants the same versions of IP for pods and Services, in the same order. */
export function networksProblem(
  pods: readonly string[],
  services: readonly string[],
): string | undefined {
  const versions = [pods, services].map((networks) =>
    networks.length === 0 ? USUAL_VERSIONS : versionsOf(networks),
  );
  return Bun.deepEquals(versions[0], versions[1])
    ? undefined
    : 'k3s.service_cidr: must have the versions of IP of k3s.cluster_cidr, in the same order';
}

function versionsOf(networks: readonly string[]): readonly number[] {
  return networks.flatMap((network) => ipRange(network)?.version ?? []);
}
