import { K3S_UNITS } from '../../core/k3s-places.ts';
import { activeState } from '../engine/systemctl.ts';
import type { Fact } from './fact.ts';

/** As systemd calls it: `active`, `activating`, `failed`, …; empty where there is no such unit. */
export const k3sUnitState: Fact<string> = {
  id: 'k3s-unit',
  read: (deps) => activeState(deps, K3S_UNITS[deps.subject.k3sRole]),
};
