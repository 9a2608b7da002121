import { isDefaultRoute } from '../facts/ip-route.ts';
import { ipRoutes } from '../facts/ip-routes.ts';
import { type Check, EVERYWHERE } from './check.ts';

/** Anything will do, also one that leads nowhere (docs.k3s.io, "Air-Gap Install", "Default Network Route"). */
const DUMMY = [
  'sudo ip link add dummy0 type dummy',
  'sudo ip link set dummy0 up',
  'sudo ip addr add 203.0.113.254/31 dev dummy0',
  'sudo ip route add default via 203.0.113.255 dev dummy0 metric 1000',
].join('\n');

export const defaultRouteThere: Check = {
  id: 'default-route',
  title: 'Default route',
  severity: 'blocks',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'k3s learns the address of the machine from its default route, and Services need one: without it k3s does not start.',
  remedy:
    'Give the network its gateway. Without internet a route that leads nowhere is enough ' +
    '(docs.k3s.io, "Air-Gap Install"); it is gone after a reboot, so set it up where the network is.',
  needs: [ipRoutes],
  run: async (facts) =>
    (await facts(ipRoutes)).some(isDefaultRoute)
      ? undefined
      : {
          code: 'HOST_UNSUPPORTED',
          message: 'This machine has no default route',
          hint: 'Give it a gateway; without internet one that leads nowhere is enough',
          fix: DUMMY,
        },
};
