import { controlPlaneReached, webSocketReached } from '../facts/control-plane-reached.ts';
import { subject } from '../facts/subject.ts';
import type { Check } from './check.ts';
import { ENDPOINT_STEPS, endpointFinding, leadsThere } from './endpoint-finding.ts';
import { isRestAnswer, isUpgradeSeen } from './right-answers.ts';

export const webSocketPasses: Check = {
  id: 'websocket',
  title: 'WebSocket',
  severity: 'warns',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['bare', 'server'],
  why: 'Without a WebSocket the agent asks for commands every few seconds over REST; remote kubectl and the tunnel need the WebSocket.',
  remedy:
    'Let the proxy or firewall pass upgrades to WebSockets to the control plane, or exempt its name from ' +
    'inspection. Until then the agent works over REST, and tries the WebSocket again by itself. ' +
    '`control_plane.transport: rest` spares it the tries.',
  needs: [controlPlaneReached, webSocketReached, subject],
  run: async (facts) => {
    const rest = await facts(controlPlaneReached);
    const upgrade = await facts(webSocketReached);
    const { transport } = (await facts(subject)).config.control_plane;
    const restWorks = rest?.usual.some((way) => leadsThere(way, isRestAnswer)) === true;
    // Without REST, or where only a WebSocket will do, the check of the control plane tells it.
    if (upgrade === undefined || !restWorks || transport !== 'auto') {
      return undefined;
    }
    const finding = endpointFinding(upgrade, 'CONTROL_PLANE_UNREACHABLE', isUpgradeSeen);
    return finding && { ...finding, message: `${finding.message}. The agent falls back to REST` };
  },
};
