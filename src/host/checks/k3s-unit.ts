import { K3S_UNITS } from '../../core/k3s-places.ts';
import { k3sUnitState } from '../facts/k3s-unit.ts';
import { subject } from '../facts/subject.ts';
import type { Check } from './check.ts';

export const k3sRuns: Check = {
  id: 'k3s',
  title: 'k3s',
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'Without it no pod is started, and the cluster loses this node.',
  remedy:
    'See why it does not run: `journalctl -u k3s` (on a worker `-u k3s-agent`), and start it.',
  needs: [k3sUnitState, subject],
  run: async (facts) => {
    const state = await facts(k3sUnitState);
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    return state === 'active'
      ? undefined
      : {
          code: 'K3S_NOT_READY',
          message: `${unit} is ${state === '' ? 'not there' : state}`,
          hint: `Start it; why it does not run: journalctl -u ${unit}`,
          fix: `sudo systemctl restart ${unit}`,
        };
  },
};
