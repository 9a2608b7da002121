import { acceptRaOf, advertisedRoutes } from '../facts/advertised-routes.ts';
import { clusterNetworks } from '../facts/cluster-networks.ts';
import { type Check, EVERYWHERE } from './check.ts';

const UNLESS_FORWARDING = 1;
const ALWAYS = 2;
const FILE = '/etc/sysctl.d/zz-accept-ra.conf';

/** Where systemd-networkd or NetworkManager hears routers, the kernel does not: then nothing is wrong. */
export const advertisedRouteStays: Check = {
  id: 'router-advertisements',
  title: 'Default route of IPv6',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'For pods with IPv6 k3s has the kernel forward, and then the kernel hears no router any more: the default route that one has told ends after half an hour or so, and the machine is cut off.',
  remedy:
    'Set `net.ipv6.conf.LINK.accept_ra` to 2 for the link that the message names, now and at each start ' +
    '(docs.k3s.io, "Basic Network Options", "Dual-stack"), or give the machine a fixed gateway.',
  needs: [advertisedRoutes, clusterNetworks],
  run: async (facts) => {
    const { pods } = await facts(clusterNetworks);
    const routes = await facts(advertisedRoutes);
    const ending = routes.filter(({ acceptRa }) => acceptRa === UNLESS_FORWARDING);
    if (ending.length === 0 || !pods.some(({ version }) => version === 6)) {
      return undefined;
    }
    const settings = ending.map(({ device }) => `${acceptRaOf(device)}=${ALWAYS}`);
    return {
      code: 'CHECK_FAILED',
      message: `The default route of IPv6 by ${ending.map(({ device }) => device).join(', ')} will end while k3s runs`,
      hint: 'Have the kernel hear routers although it forwards, now and at each start',
      fix: settings
        .flatMap((setting) => [
          `sudo sysctl -w ${setting}`,
          `echo ${setting} | sudo tee -a ${FILE}`,
        ])
        .join('\n'),
      details: { links: ending.map(({ device }) => device) },
    };
  },
};
