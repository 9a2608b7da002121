import { isLoopback } from '../../core/loopback.ts';
import { addresses } from '../facts/addresses.ts';
import { ownName } from '../facts/own-name.ts';
import { type Check, EVERYWHERE } from './check.ts';

export const hostnameResolves: Check = {
  id: 'name-resolution',
  title: 'Own name resolves',
  severity: 'warns',
  cost: 'dear',
  roles: EVERYWHERE,
  why: "Programs look up the machine's own name: sudo and others wait for DNS each time, and one that leads elsewhere misleads them.",
  remedy: 'Add the name to `/etc/hosts`, beside 127.0.1.1 as Debian does it.',
  needs: [ownName, addresses],
  run: async (facts) => {
    const { name, addresses: found, trouble } = await facts(ownName);
    const own = await facts(addresses);
    const isOwn = (address: string) => isLoopback(address) || own.includes(address);
    if (found.length > 0 && found.every(isOwn)) {
      return undefined;
    }
    const foreign = found.filter((address) => !isOwn(address));
    return {
      code: 'CHECK_FAILED',
      message:
        found.length === 0
          ? `The name of this machine, ${name}, leads nowhere: ${trouble}`
          : `The name of this machine, ${name}, leads to ${foreign.join(', ')}, which is not this machine`,
      hint: 'Add it to /etc/hosts',
      fix: `echo '127.0.1.1 ${name}' | sudo tee -a /etc/hosts`,
      details: { name, addresses: found },
    };
  },
};
