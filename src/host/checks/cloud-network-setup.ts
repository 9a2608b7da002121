import { cloudNetworkSetup } from '../facts/cloud-network-setup.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const noCloudNetworkSetup: Check = {
  id: 'nm-cloud-setup',
  title: 'Routes of a cloud',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'nm-cloud-setup writes routes again and again, by which packets of pods get lost.',
  remedy: `Images of RHEL and its relatives have it on for clouds. k3s asks to turn it off before an installation
(docs.k3s.io, "Requirements"): \`sudo systemctl disable --now nm-cloud-setup.service nm-cloud-setup.timer\`,
then restart, because its routes stay until then.`,
  needs: [cloudNetworkSetup],
  run: async (facts) => {
    const units = await facts(cloudNetworkSetup);
    return units.length === 0
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `Enabled: ${units.join(', ')}`,
          hint: 'Turn it off, and restart',
          fix: `sudo systemctl disable --now ${units.join(' ')}\nsudo reboot`,
        };
  },
};
