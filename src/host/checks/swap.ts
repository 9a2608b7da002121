import { swapAreas } from '../facts/swap.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const noSwap: Check = {
  id: 'swap',
  title: 'Swap',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'k3s runs with swap, but a pod over its limit then becomes slow instead of being restarted, and secrets may get to the disk.',
  remedy: `On a small machine swap may still be the lesser evil. To do without: \`sudo swapoff -a\`, and take the
line out of \`/etc/fstab\`; on a Raspberry Pi \`sudo systemctl disable --now dphys-swapfile\`. Swap in memory
(zram) is not counted.`,
  needs: [swapAreas],
  run: async (facts) => {
    const areas = (await facts(swapAreas)).filter((path) => !path.startsWith('/dev/zram'));
    return areas.length === 0
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `Swap is on: ${areas.join(', ')}`,
          hint: 'Turn it off, also in /etc/fstab, unless the machine is small',
          fix: 'sudo swapoff -a',
        };
  },
};
