import { serverReached } from '../facts/server-reached.ts';
import type { Check } from './check.ts';
import { ENDPOINT_STEPS, endpointFinding } from './endpoint-finding.ts';

export const serverAnswers: Check = {
  id: 'server',
  title: 'Server of the cluster',
  severity: 'blocks',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['worker'],
  why: 'A worker gets its work from the server; a node that does not reach it is not ready.',
  remedy:
    'Look whether k3s runs on the server (`systemctl status k3s`), and let the firewalls between pass TCP to ' +
    'its port 6443.',
  needs: [serverReached],
  run: async (facts) => {
    const reached = await facts(serverReached);
    return reached && endpointFinding(reached, 'SERVER_UNREACHABLE', (status) => status < 500);
  },
};
