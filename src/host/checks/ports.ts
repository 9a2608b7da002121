import { listeners } from '../facts/listeners.ts';
import type { Check } from './check.ts';

/** @param wanted TCP ports that will be listened on */
export function portsFree(wanted: readonly number[]): Check {
  return {
    id: 'ports',
    title: 'Ports',
    severity: 'blocks',
    needs: [listeners],
    run: async (facts) => {
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
