/**
 * The upgrade of this machine's k3s, in a unit of its own. Every step is in the record before it is done, and can be
 * done again: so it goes on after a kill or a power cut (docs/decisions/0042-k3s-upgrade.md).
 */
import type { V1Node } from '@kubernetes/client-node';
import { expectedError } from '../../core/errors.ts';
import { K3S_NEXT_FILE } from '../../core/k3s-places.ts';
import { minorsBetween, requireUpgradable } from '../../core/k3s-version.ts';
import { pollUntil } from '../../core/waiting.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { stageK3s, switchToNextK3s, switchToPreviousK3s } from '../../host/k3s/upgrade/programs.ts';
import {
  endK3sUpgrade,
  readK3sUpgrade,
  readK3sUpgradeResult,
  writeK3sUpgrade,
} from '../../host/k3s/upgrade/record.ts';
import { setSchedulable } from '../../kubernetes/nodes/scheduling.ts';
import type { K3sUpgradeRecord } from '../../protocol/files/k3s-upgrade.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { moveAway } from '../leave/move-pods.ts';
import { openDownloads, readCa } from '../outbound.ts';
import { createSnapshot } from '../snapshots/create.ts';
import { listSnapshots } from '../snapshots/shelf.ts';
import { cordonAndSee } from './cordon.ts';
import { requireServersWell } from './guard.ts';
import { type NodeHere, nodeHere, othersThan, requireReadyNode } from './here.ts';
import { answeredOrOpen } from './node-answer.ts';
import { STEP_WORDS } from './step-words.ts';
import { restartInto } from './wait-ready.ts';

/** A machine that went down so often while it was judged is not asked again. */
const JUDGED_MAX = 3;
const DRAIN_TIMEOUT_MS = 5 * 60_000;
/** The schedule may be making a snapshot. */
const SNAPSHOT_TURN_MS = 5 * 60_000;
/** Until the node takes pods again: the API may be on its way back. */
const UNCORDON_TIMEOUT_MS = 60_000;
const RETRY_INTERVAL_MS = 2_000;

type Next = Partial<K3sUpgradeRecord>;

/**
 * Ends when there is nothing to do any more.
 * @param say for the journal: a line for each step
 * @throws AgentError of the machine: systemd starts it again (systemd/pipeops-agent-k3s-upgrade.service)
 */
export async function carryOutK3sUpgrade(
  context: MachineContext,
  say: (line: string) => void,
): Promise<void> {
  for (
    let record = await readK3sUpgrade(context);
    record !== undefined;
    record = await readK3sUpgrade(context)
  ) {
    say(`${record.from} to ${record.to}: ${STEP_WORDS[record.step]}${whyOf(record)}`);
    const next = await nextStep(context, record);
    if (next !== undefined) {
      await change(context, next);
    }
  }
  await here(context)
    .then((self) => answeredOrOpen(context, self))
    .catch(expectedError); // Who asked is told at the next look, then (asked.ts).
  const result = await readK3sUpgradeResult(context);
  say(`The last upgrade of k3s ended: ${result?.outcome ?? 'none'}${whyOf(result)}`);
}

/** Of what a step has written meanwhile, nothing is lost. */
async function change(context: MachineContext, next: Next): Promise<void> {
  const record = await readK3sUpgrade(context);
  if (record !== undefined) {
    await writeK3sUpgrade(context, { ...record, ...next });
  }
}

const whyOf = (about: { readonly why: string | null } | undefined) =>
  (about?.why ?? '') === '' ? '' : ` (${about?.why})`;

/** @returns what changes in the record; undefined when all is done */
async function nextStep(
  context: MachineContext,
  record: K3sUpgradeRecord,
): Promise<Next | undefined> {
  switch (record.step) {
    case 'fetch':
      return await orUnchanged(context, () => fetchProgram(context, record));
    case 'snapshot':
      return await orUnchanged(context, () => makeSnapshot(context, record));
    case 'drain':
      return await orUnchanged(context, () => drain(context, record));
    case 'switch':
      return await orUnchanged(context, () => switchOver(context, record));
    case 'judge':
      return await judge(context, record);
    case 'back':
      return await goBack(context, record);
    case 'end':
      await end(context, record);
      return undefined;
  }
}

/** Up to the switch a failure ends it, with k3s as it was. */
async function orUnchanged(
  { signal }: Pick<MachineContext, 'signal'>,
  work: () => Promise<Next>,
): Promise<Next> {
  try {
    return await work();
  } catch (thrown) {
    const error = expectedError(thrown);
    if (signal.aborted || error.code === 'INTERRUPTED') {
      throw error; // The machine goes down: it goes on at the next start.
    }
    return { step: 'end', outcome: 'unchanged', why: `${error.message} [${error.code}]` };
  }
}

async function here(context: MachineContext): Promise<NodeHere> {
  return await nodeHere(context, await openInventory(context));
}

async function fetchProgram(
  context: MachineContext,
  { to, role }: K3sUpgradeRecord,
): Promise<Next> {
  const { config } = await loadEffectiveConfig(context, {});
  const downloads = await openDownloads(context, config, await readCa(context, config));
  const progress = await context.progress(`Fetch k3s ${to}`);
  try {
    const sha256 = await stageK3s(context, downloads.origin, to, progress.update, context.signal);
    progress.done();
    return { sha256, step: role === 'server' ? 'snapshot' : 'drain' };
  } catch (thrown) {
    progress.fail();
    throw thrown;
  } finally {
    downloads.close();
  }
}

async function makeSnapshot(context: MachineContext, { id }: K3sUpgradeRecord): Promise<Next> {
  const name = `k3s-upgrade-${id}`;
  const done: Next = { step: 'drain', snapshot: name };
  if ((await listSnapshots(context)).some((each) => each.name === name)) {
    return done;
  }
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: SNAPSHOT_TURN_MS };
  const made = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      return { found: await createSnapshot(context, { name, kind: 'upgrade' }) };
    } catch (thrown) {
      const error = expectedError(thrown);
      if (error.code !== 'BUSY') {
        throw error;
      }
      return { soFar: error };
    }
  });
  if (made.kind !== 'found') {
    throw made.soFar;
  }
  return done;
}

async function drain(context: MachineContext, record: K3sUpgradeRecord): Promise<Next> {
  if (!record.drains) {
    return { step: 'switch' };
  }
  const self = await here(context);
  const found = await requireReadyNode(context, self);
  const tookPods = record.took_pods ?? found.spec?.unschedulable !== true;
  // Written before it is cordoned: whoever goes on knows what it was.
  await change(context, { took_pods: tookPods });
  await cordonAndSee(context, self);
  const asBefore: V1Node = { ...found, spec: { ...found.spec, unschedulable: !tookPods } };
  await moveAway(context, self, asBefore, { timeoutMs: DRAIN_TIMEOUT_MS, force: false });
  return { step: 'switch' };
}

async function switchOver(context: MachineContext, record: K3sUpgradeRecord): Promise<Next> {
  const { sha256, to } = record;
  const self = await here(context);
  if (self.version !== to) {
    // Time has passed: the cluster may be another one than at the beginning.
    await requireReadyNode(context, self);
    const present = { name: self.node, isServer: self.role === 'server', version: self.version };
    requireUpgradable(present, to, await othersThan(context, self));
    await requireServersWell(context, self);
  }
  await switchToNextK3s(context, sha256 ?? '', context.signal);
  return { step: 'judge' };
}

async function judge(context: MachineContext, record: K3sUpgradeRecord): Promise<Next> {
  if (record.judged >= JUDGED_MAX) {
    return afterFailure(record, `the machine went down ${record.judged} times while it was tried`);
  }
  await change(context, { judged: record.judged + 1 });
  let { served } = record;
  const why = await restartInto(context, await here(context), record.to, async () => {
    served = true;
    await change(context, { served });
  });
  return why === undefined
    ? { step: 'end', outcome: 'done' }
    : afterFailure({ ...record, served }, why);
}

/**
 * A worker keeps no data of the cluster. A server's are those of its minor version once its API was up; before that,
 * and within a minor version, the program before can read them.
 */
function afterFailure({ role, from, to, served }: K3sUpgradeRecord, why: string): Next {
  const isSafe = role === 'agent' || minorsBetween(from, to) === 0 || !served;
  return isSafe
    ? { step: 'back', why }
    : {
        step: 'end',
        outcome: 'stuck',
        why: `${why}; the API of ${to} was up, so the data may be of its version, and ${from} is not put back by itself`,
      };
}

async function goBack(context: MachineContext, record: K3sUpgradeRecord): Promise<Next> {
  await switchToPreviousK3s(context, context.signal);
  const nobody = async () => undefined;
  const stuck = await restartInto(context, await here(context), record.from, nobody);
  return stuck === undefined
    ? { step: 'end', outcome: 'went-back' }
    : { step: 'end', outcome: 'stuck', why: `${record.why}; and ${record.from}: ${stuck}` };
}

async function end(context: MachineContext, record: K3sUpgradeRecord): Promise<void> {
  const { v, id, from, to, role, node, snapshot, began } = record;
  const left = record.took_pods === true ? await takesPodsAgain(context, node) : undefined;
  await context.files.remove(K3S_NEXT_FILE);
  const now = context.clock.now();
  const why = [record.why, left].filter((each) => (each ?? '') !== '').join('; ');
  await endK3sUpgrade(context, {
    ...{ v, id, from, to, role, node, snapshot },
    outcome: record.outcome ?? 'stuck',
    why: why === '' ? null : why,
    at: now.toISOString(),
    took_ms: Math.max(0, now.getTime() - Date.parse(began)),
  });
}

/**
 * @returns what is left to do where it does not, with the command that does it
 * @throws AgentError INTERRUPTED
 */
async function takesPodsAgain(context: MachineContext, node: string): Promise<string | undefined> {
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: UNCORDON_TIMEOUT_MS };
  const done = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      const { client: kubernetes } = await here(context);
      await setSchedulable({ kubernetes, signal: context.signal }, node, true);
      return { found: true };
    } catch (thrown) {
      return { soFar: expectedError(thrown).message };
    }
  });
  if (done.kind === 'aborted') {
    throw interrupted('before the node takes pods again'); // It does after the next start.
  }
  return done.kind === 'found'
    ? undefined
    : `it takes no pods (${done.soFar}): on a server, sudo k3s kubectl uncordon ${node}`;
}
