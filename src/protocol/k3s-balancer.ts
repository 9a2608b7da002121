/** What k3s' balancer on a worker keeps of the servers that it knows (k3s, "pkg/agent/loadbalancer"). */
import * as z from 'zod';

export const BalancerFile = z.looseObject({
  /** `host:port` */
  ServerAddresses: z.array(z.string()),
});
