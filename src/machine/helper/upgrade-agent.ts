import { dirname } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { StartProgress } from '../../core/ports.ts';
import { compareVersions } from '../../core/text/compare-versions.ts';
import { executablePath } from '../../host/agent/executable.ts';
import { readHold, requireUnpaused, requireUnpinned } from '../../host/agent/upgrade/hold.ts';
import { readRecord, readResult } from '../../host/agent/upgrade/record.ts';
import { installedKeyNumber } from '../../host/release/find.ts';
import { readStrangersRelease } from '../../host/release/signed-files.ts';
import { packedPath, placeRelease } from '../../host/release/stage.ts';
import { verifyRelease } from '../../host/release/verify.ts';
import type { HelperRequest, UpgradeState } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';
import { refusePackaged } from '../packaged.ts';
import { beginChange, refuseSecondChange } from '../upgrade/change.ts';
import { installedVersion, showsThatItRuns } from '../upgrade/upgrade.ts';

type Request = Extract<HelperRequest, { verb: 'upgrade_agent' }>;

/**
 * A newer version that the control plane asked for, and that the daemon has fetched. The daemon's word counts for
 * nothing: signatures, rules of the manifest and the program itself are checked here. It answers as soon as the unit
 * is started that changes the version: that one ends the daemon, too. A command that runs again is told how far it is.
 * @throws AgentError RELEASE_UNTRUSTED, RELEASE_EXPIRED, RELEASE_REFUSED, UPGRADE_FAILED, NOT_INSTALLED, BUSY,
 *   INSTALLED_OTHERWISE, NOT_FOUND, DISK_FULL, UPGRADE_HELD
 */
export async function commandedUpgrade(
  given: MachineContext,
  { command_id: commandId, version }: Request,
  tell: (progress: string) => Promise<void>,
): Promise<UpgradeState> {
  const context = { ...given, progress: toldTo(tell) };
  const known = await upgradeOutcome(context, commandId);
  if (known.state !== 'none') {
    return known;
  }
  await refusePackaged(context, 'upgrade');
  const from = await installedVersion(context);
  if (version === from) {
    return { state: 'current' };
  }
  const hold = await readHold(context);
  requireUnpaused(hold, context.clock);
  requireUnpinned(hold, version);
  if (compareVersions(version, from) < 0) {
    throw new AgentError('RELEASE_REFUSED', `${version} is older than ${from}, which is here`, {
      hint: 'To go back to a version that was here, run there: sudo pipeops-agent rollback',
    });
  }
  await refuseSecondChange(context);
  await tell(`Check the signatures of ${version}`);
  await placeStaged(context, from, version);
  await showsThatItRuns(context, from, version);
  await tell(`Change from ${from} to ${version}`);
  await beginChange(context, { kind: 'upgrade', from, to: version, command_id: commandId });
  return { state: 'under_way', from, to: version };
}

/** @throws AgentError STATE_NEWER, FILE_ACCESS */
export async function upgradeOutcome(
  context: MachineContext,
  commandId: string,
): Promise<UpgradeState> {
  const record = await readRecord(context);
  if (record?.command_id === commandId) {
    return { state: 'under_way', from: record.from, to: record.to };
  }
  const result = await readResult(context);
  if (result?.command_id !== commandId) {
    return { state: 'none' };
  }
  const { outcome, from, to, why, took_ms } = result;
  return { state: 'ended', outcome, from, to, why, took_ms };
}

async function placeStaged(context: MachineContext, from: string, version: string): Promise<void> {
  const { architecture, clock, files, places, releaseKeys, signal } = context;
  const directory = places.stagedReleaseDirectory;
  const signed = await readStrangersRelease(files, directory);
  if (signed === undefined) {
    throw new AgentError('NOT_FOUND', `The agent has fetched no release to ${directory}`, {
      hint: 'Send the command again',
    });
  }
  const present = dirname(executablePath(places, from));
  const { manifest } = verifyRelease(releaseKeys, signed, {
    ...{ from: 'the release that the agent has fetched', now: clock.now(), version },
    ...{ channel: undefined, allowExpired: false },
    installed: { version: from, keyNumber: await installedKeyNumber(context, present) },
  });
  const platform = `linux-${architecture}`;
  const path = executablePath(places, version);
  const packed = packedPath(directory, version, platform);
  await placeRelease(files, { manifest, signed, platform, path }, packed, signal);
}

function toldTo(tell: (progress: string) => Promise<void>): StartProgress {
  return async (title) => {
    await tell(title);
    return { update: () => undefined, done: () => undefined, fail: () => undefined };
  };
}
