import { holderName } from '../engine/package-lock.ts';
import { packageLock } from '../facts/package-lock.ts';
import { BARE, type Check } from './check.ts';

export const packagesFree: Check = {
  id: 'package-lock',
  title: 'Package manager',
  severity: 'warns',
  cost: 'dear',
  roles: BARE,
  why: 'Updates that run at the same time may restart services under an installation, and where SELinux is on the installer of k3s needs the package manager itself.',
  remedy: 'Wait until it has ended. Updates at the first start of a machine take some minutes.',
  needs: [packageLock],
  run: async (facts) => {
    const holder = await facts(packageLock);
    return holder === undefined
      ? undefined
      : {
          code: 'BUSY',
          message: `The package manager is at work: ${holderName(holder)}`,
          hint: 'Better wait until it has ended',
        };
  },
};
