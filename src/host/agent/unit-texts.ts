/** The units in systemd/, as they are for one machine: its program may be elsewhere, and a package may bring them. */

import agentService from '../../../systemd/pipeops-agent.service' with { type: 'text' };
import helperService from '../../../systemd/pipeops-agent-helper@.service' with { type: 'text' };
import helperSocket from '../../../systemd/pipeops-agent-helper.socket' with { type: 'text' };
import k3sAskedService from '../../../systemd/pipeops-agent-k3s-asked.service' with {
  type: 'text',
};
import k3sAskedTimer from '../../../systemd/pipeops-agent-k3s-asked.timer' with { type: 'text' };
import k3sUpgradePath from '../../../systemd/pipeops-agent-k3s-upgrade.path' with { type: 'text' };
import k3sUpgradeService from '../../../systemd/pipeops-agent-k3s-upgrade.service' with {
  type: 'text',
};
import snapshotsService from '../../../systemd/pipeops-agent-snapshots.service' with {
  type: 'text',
};
import snapshotsTimer from '../../../systemd/pipeops-agent-snapshots.timer' with { type: 'text' };
import { DEFAULT_PLACES, type Places } from '../../core/places.ts';

export interface UnitText {
  readonly path: string;
  readonly text: string;
}

export interface UnitTexts {
  readonly agent: UnitText;
  readonly helperSocket: UnitText;
  readonly helperService: UnitText;
  readonly k3sAskedTimer: UnitText;
  readonly k3sAskedService: UnitText;
  readonly k3sUpgradePath: UnitText;
  readonly k3sUpgradeService: UnitText;
  readonly snapshotsTimer: UnitText;
  readonly snapshotsService: UnitText;
}

export function unitTextsFor(places: Places): UnitTexts {
  const { executableLink, isPackaged } = places;
  const unit = (path: string, text: string): UnitText => {
    const here = text.replaceAll(DEFAULT_PLACES.executableLink, executableLink);
    const origin = isPackaged
      ? 'Of the package pipeops-agent'
      : 'Written by "pipeops-agent install"';
    return { path, text: here.replace('Written by "pipeops-agent install"', origin) };
  };
  return {
    agent: unit(places.unitFile, agentService),
    helperSocket: unit(places.helperSocketUnitFile, helperSocket),
    helperService: unit(places.helperServiceUnitFile, helperService),
    k3sAskedTimer: unit(places.k3sAskedTimerUnitFile, k3sAskedTimer),
    k3sAskedService: unit(places.k3sAskedServiceUnitFile, k3sAskedService),
    k3sUpgradePath: unit(places.k3sUpgradePathUnitFile, k3sUpgradePath),
    k3sUpgradeService: unit(places.k3sUpgradeServiceUnitFile, k3sUpgradeService),
    snapshotsTimer: unit(places.snapshotsTimerUnitFile, snapshotsTimer),
    snapshotsService: unit(places.snapshotsServiceUnitFile, snapshotsService),
  };
}
