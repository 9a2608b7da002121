import type { Fact } from './fact.ts';

const NAMES = ['nm-cloud-setup.service', 'nm-cloud-setup.timer'];
const TARGETS = ['multi-user.target', 'timers.target', 'NetworkManager.service'];

/** The units of NetworkManager that are enabled and write routes as a cloud tells them. */
export const cloudNetworkSetup: Fact<readonly string[]> = {
  id: 'cloud-network-setup',
  read: async ({ files }) => {
    const links = TARGETS.flatMap((target) =>
      NAMES.map((name) => ({ name, path: `/etc/systemd/system/${target}.wants/${name}` })),
    );
    const found = await Promise.all(links.map(({ path }) => files.stat(path)));
    return [
      ...new Set(links.flatMap(({ name }, index) => (found[index] === undefined ? [] : [name]))),
    ];
  },
};
