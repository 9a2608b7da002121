import { K3S_REGISTRIES_FILE } from '../../core/k3s-places.ts';
import { registriesReached } from '../facts/registries-reached.ts';
import { type Check, EVERYWHERE } from './check.ts';
import { ENDPOINT_STEPS } from './endpoint-finding.ts';
import { firstFinding } from './first-finding.ts';

export const registriesAnswer: Check = {
  id: 'registries',
  title: 'Registries',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: EVERYWHERE,
  why: 'Images come from there, those of k3s itself too: without them pods do not start.',
  remedy:
    `Correct the mirrors in \`${K3S_REGISTRIES_FILE}\` and restart k3s, or let the firewall pass the registry. ` +
    'Images that are on the machine already need none.',
  needs: [registriesReached],
  run: async (facts) => firstFinding(await facts(registriesReached), 'DOWNLOAD_FAILED', isRegistry),
};

/** The distribution API ("GET /v2/"): 200, or 401 or 403 where it wants to know who asks. */
function isRegistry(status: number): boolean {
  return status === 200 || status === 401 || status === 403;
}
