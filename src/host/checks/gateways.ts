import { gatewaysReached } from '../facts/control-plane-reached.ts';
import type { Check } from './check.ts';
import { ENDPOINT_STEPS } from './endpoint-finding.ts';
import { firstFinding } from './first-finding.ts';
import { isUpgradeSeen } from './right-answers.ts';

export const gatewaysAnswer: Check = {
  id: 'gateways',
  title: 'Gateways',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['bare', 'server'],
  why: 'The control plane may send the agent to a gateway, which carries remote kubectl and the tunnel.',
  remedy:
    'Let the firewall pass the hosts of `control_plane.gateway_hosts` as it passes the control plane. ' +
    'Patterns such as `*.example.com` cannot be tried.',
  needs: [gatewaysReached],
  run: async (facts) =>
    firstFinding(await facts(gatewaysReached), 'CONTROL_PLANE_UNREACHABLE', isUpgradeSeen),
};
