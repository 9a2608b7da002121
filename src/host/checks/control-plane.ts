import { controlPlaneReached, webSocketReached } from '../facts/control-plane-reached.ts';
import { subject } from '../facts/subject.ts';
import type { Check } from './check.ts';
import { ENDPOINT_STEPS, endpointFinding } from './endpoint-finding.ts';
import { isRestAnswer, isUpgradeSeen } from './right-answers.ts';

export const controlPlaneAnswers: Check = {
  id: 'control-plane',
  title: 'Control plane',
  severity: 'blocks',
  cost: 'dear',
  networkSteps: ENDPOINT_STEPS,
  roles: ['bare', 'server'],
  why: 'The agent only calls out: without a way to the control plane nothing can be deployed from there.',
  remedy:
    'The message names the first step that fails: the name, the connection, the proxy, TLS, the answer. ' +
    '`--json` has every way with its steps and times: through the proxy and around it, over IPv4 and IPv6. ' +
    'For a private authority, or where a proxy opens TLS, give its certificate with `--ca-file`.',
  needs: [controlPlaneReached, subject],
  run: async (facts) => {
    const reached = await facts(controlPlaneReached);
    if (reached === undefined) {
      return undefined;
    }
    const finding = endpointFinding(reached, 'CONTROL_PLANE_UNREACHABLE', isRestAnswer);
    const { transport } = (await facts(subject)).config.control_plane;
    if (finding !== undefined || transport !== 'websocket') {
      return finding;
    }
    const upgrade = await facts(webSocketReached);
    return upgrade && endpointFinding(upgrade, 'CONTROL_PLANE_UNREACHABLE', isUpgradeSeen);
  },
};
