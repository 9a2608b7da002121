import { timeSync } from '../facts/time-sync.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const clockKept: Check = {
  id: 'time-sync',
  title: 'Clock is kept right',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: 'Without NTP a clock drifts by seconds a week, until certificates and tokens are refused.',
  remedy:
    'Switch on the service that this system has for it: `sudo timedatectl set-ntp true` (systemd-timesyncd or ' +
    'chrony). Let the firewall pass UDP to port 123, or name a time server of your own in ' +
    '`/etc/systemd/timesyncd.conf`.',
  needs: [timeSync],
  run: async (facts) => {
    const sync = await facts(timeSync);
    if (sync === undefined || sync.isSynchronized) {
      return undefined;
    }
    return sync.isOn
      ? {
          code: 'CHECK_FAILED',
          message: 'NTP is switched on, but the clock is not synchronized',
          hint: 'Let the firewall pass UDP to port 123, or name a time server that this machine reaches. To see: timedatectl timesync-status',
        }
      : {
          code: 'CHECK_FAILED',
          message: 'Nothing keeps the clock of this machine right',
          hint: 'Switch NTP on',
          fix: 'sudo timedatectl set-ntp true',
        };
  },
};
