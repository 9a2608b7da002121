import type { Subject } from '../facts/fact.ts';
import { listeners } from '../facts/listeners.ts';
import { subject } from '../facts/subject.ts';
import { K3S_PORTS } from '../k3s/ports.ts';
import { BARE, type Check } from './check.ts';

/** @param wantedBy TCP ports that will be listened on */
export function portsFree(wantedBy: (subject: Subject) => readonly number[]): Check {
  return {
    id: 'ports',
    title: 'Ports',
    severity: 'blocks',
    cost: 'cheap',
    roles: BARE,
    why: 'k3s and the agent listen on these ports; k3s does not start while another program has one.',
    remedy: 'Stop the program that is named, or move it to another port.',
    needs: [subject, listeners],
    run: async (facts) => {
      const wanted = wantedBy(await facts(subject));
      const { ports, holderOf } = await facts(listeners);
      const taken = wanted.filter((port) => ports.has(port)).sort((a, b) => a - b);
      if (taken.length === 0) {
        return undefined;
      }
      const busy = await Promise.all(
        taken.map(async (port) => ({ port, holder: await holderOf(port) })),
      );
      const list = busy.map(({ port, holder }) => `${port} by ${holder}`).join(', ');
      return {
        code: 'PORT_IN_USE',
        message: `These ports are taken: ${list}`,
        hint: 'Stop the program that holds them, or move it to another port',
        details: { ports: busy },
      };
    },
  };
}

/** All that a machine will listen on that has nothing of ours yet. */
export const allPortsFree: Check = portsFree(({ k3sRole, adoptsK3s, config: { http } }) => [
  ...(adoptsK3s === true ? [] : K3S_PORTS[k3sRole]),
  ...(k3sRole === 'server' ? [http.port, http.tls_port] : [http.port]),
]);
