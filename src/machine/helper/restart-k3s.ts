import { AgentError } from '../../core/errors.ts';
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { tellNodeAddresses } from '../../host/agent/config.ts';
import { parseJson } from '../../host/engine/parse-json.ts';
import { systemctl } from '../../host/engine/systemctl.ts';
import { outwardAddresses } from '../../host/facts/outward-addresses.ts';
import { restartReason } from '../../host/facts/restart-reason.ts';
import { whoTellsAddress } from '../../host/facts/who-tells-address.ts';
import { rewriteNodeIp } from '../../host/k3s/node-ip.ts';
import { K3sRestarts } from '../../protocol/files/k3s-restarts.ts';
import type { RestartedK3s, RestartReason } from '../../protocol/host-facts.ts';
import type { MachineContext } from '../context.ts';
import { type OwnK3s, ownK3s } from './k3s-upkeep.ts';

const HOUR_MS = 3_600_000;
/** A restart that does not mend it is not tried again at once, whoever asks. */
const BETWEEN_MS: Readonly<Record<RestartReason, number>> = {
  certificates: 24 * HOUR_MS,
  address: HOUR_MS,
};

/**
 * Restarts k3s where that mends something, and nothing otherwise: what is to be mended is looked for here, not told
 * by who asks. Pods keep running.
 * @throws AgentError BUSY soon after the last time, TOOL_FAILED where the restart fails or mends nothing,
 *   CONFIG_INVALID, FILE_ACCESS, DISK_FULL
 */
export async function restartK3s(
  context: MachineContext,
  tell: (progress: string) => Promise<void>,
): Promise<RestartedK3s> {
  const k3s = await ownK3s(context);
  const reason = await k3s?.facts(restartReason);
  if (k3s === undefined || reason === undefined) {
    return { restarted: null };
  }
  await noteRestart(context, reason);
  if (reason === 'address') {
    await takeAddress(context, k3s);
  }
  const unit = K3S_UNITS[k3s.role];
  await tell(`restarts ${unit}`);
  await systemctl(context, 'restart', unit);
  // Read anew: facts are read once a run.
  const left = await (await ownK3s(context))?.facts(restartReason);
  if (left === reason) {
    throw new AgentError('TOOL_FAILED', `${unit} was restarted, and it mended nothing: ${reason}`, {
      hint: `See what it says: journalctl -u ${unit}; and all that is wrong: sudo pipeops-agent doctor`,
    });
  }
  return { restarted: reason };
}

/** Before the restart: one that ends in between counts. */
async function noteRestart(context: MachineContext, reason: RestartReason): Promise<void> {
  const { clock, files, places } = context;
  const text = await files.readText(places.k3sRestartsFile);
  const before = K3sRestarts.safeParse(text === undefined ? undefined : parseJson(text)).data;
  const last = before?.[reason];
  const now = clock.now();
  const passedMs = last === undefined ? undefined : now.getTime() - Date.parse(last);
  // A time that is ahead is that of a wrong clock.
  if (passedMs !== undefined && passedMs >= 0 && passedMs < BETWEEN_MS[reason]) {
    throw new AgentError('BUSY', `k3s was restarted for the same reason (${reason}) at ${last}`, {
      hint: 'See why that has not helped: sudo pipeops-agent doctor',
    });
  }
  const noted: K3sRestarts = { ...before, v: 1, [reason]: now.toISOString() };
  await files.writeAtomic(places.k3sRestartsFile, `${JSON.stringify(noted)}\n`, { mode: 0o600 });
}

/** Where our own file tells k3s the old one, it tells the present one from now on. */
async function takeAddress(context: MachineContext, { facts }: OwnK3s): Promise<void> {
  if ((await facts(whoTellsAddress)) === 'us') {
    const present = { own: context.addresses(), outward: await facts(outwardAddresses) };
    const told = await rewriteNodeIp(context, present);
    await tellNodeAddresses(context, told);
  }
}
