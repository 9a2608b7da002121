import { AgentError } from '../../core/errors.ts';
import { discovery } from '../../kubernetes/api/discovery.ts';
import { requireAllowed } from '../../policy/decision.ts';
import {
  type AppliedObject,
  ApplyCheckpoint,
  ApplyData,
  ApplyPayload,
} from '../../protocol/commands/apply.ts';
import { ensureNamespace } from '../applications/ensure-namespace.ts';
import { parseManifest } from '../apply/manifest.ts';
import { applyObject } from '../apply/object.ts';
import { type PlannedObject, planObjects, requireAllAllowed } from '../apply/plan.ts';
import { type PrunePlace, prunePlace, prunePlaces, requirePruneAllowed } from '../apply/prune.ts';
import { stopped } from '../engine/cancelled.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { type CommandContext, commandHandler } from '../engine/handler.ts';

const TIMEOUT_MS = 600_000;
/** Failures named in the error, at most; the data has them all. */
const FAILURES_TOLD_MAX = 5;
/** Told of an object that a rerun after a crash finds already as the manifest has it. */
const DONE_BEFORE = 'now; this command may have applied it before the agent was restarted';

interface Plan {
  readonly objects: readonly PlannedObject[];
  readonly places: readonly PrunePlace[];
}

/**
 * apply: the objects of a manifest, one after the other, by server-side apply; goes on after an
 * object that Kubernetes refuses. Everything is checked against the policy before anything is
 * applied. A second run changes nothing, so it is rerun after a crash.
 */
export const applyCommand = commandHandler({
  type: 'apply',
  payload: ApplyPayload,
  data: ApplyData,
  namespace: (payload) => payload.namespace,
  priority: 'normal',
  // What it touches is known only after parsing, so only one runs at a time.
  lane: () => 'apply',
  timeoutMs: () => TIMEOUT_MS,
  afterRestart: 'rerun',
  run: async (payload, context) => {
    const plan = await planApply(payload, context);
    const results: AppliedObject[] = [];
    try {
      await carryOut(payload, context, plan, results);
    } catch (thrown) {
      const howFar = `Stopped after ${results.length} of ${plan.objects.length} objects`;
      throw stopped(context, thrown, howFar, { objects: results });
    }
    return outcomeOf(payload, results);
  },
});

async function planApply(payload: ApplyPayload, context: CommandContext): Promise<Plan> {
  const { kubernetes, policy, signal } = context;
  const manifest = { text: payload.manifest, namespace: payload.namespace };
  const parsed = await parseManifest(context, manifest, signal);
  const kinds = discovery(kubernetes);
  const objects = await planObjects(kinds, parsed, payload.namespace, signal);
  // Asked again for each namespace: the command as such may be refused there.
  for (const namespace of new Set(objects.flatMap(({ target }) => target ?? []))) {
    requireAllowed(policy.command({ type: 'apply', namespace }));
  }
  await requireAllAllowed(context, objects);
  const places = payload.prune_label === undefined ? [] : await prunePlaces(kinds, objects, signal);
  requirePruneAllowed(context, places);
  return { objects, places };
}

async function carryOut(
  payload: ApplyPayload,
  context: CommandContext,
  { objects, places }: Plan,
  results: AppliedObject[],
): Promise<void> {
  const { dry_run: dryRun, namespace, prune_label: label } = payload;
  const isRerun = readCheckpoint(ApplyCheckpoint, context) !== undefined;
  if (!dryRun && !isRerun) {
    const checkpoint: ApplyCheckpoint = { begun: true };
    await context.setCheckpoint(checkpoint);
  }
  if (namespace !== undefined && !dryRun) {
    await ensureNamespace(context, namespace);
  }
  for (const object of objects) {
    const applied = await applyObject(context, object, dryRun);
    const result =
      isRerun && applied.result === 'unchanged' ? { ...applied, message: DONE_BEFORE } : applied;
    results.push(result);
    context.progress(lineOf(result), { done: results.length, of: objects.length });
  }
  // A failed object may be the reason why something looks superfluous, so nothing is removed then.
  if (label !== undefined && !results.some((each) => each.result === 'failed')) {
    for (const place of places) {
      results.push(...(await prunePlace(context, place, { label, keep: objects, dryRun })));
    }
  }
}

function outcomeOf(payload: ApplyPayload, objects: AppliedObject[]) {
  const failed = objects.filter(({ result }) => result === 'failed');
  const lines = objects.map((object) => `${lineOf(object)}\n`);
  const output = `${payload.dry_run ? 'dry run, nothing was changed\n' : ''}${lines.join('')}`;
  const data = { dry_run: payload.dry_run, objects };
  if (failed.length === 0) {
    return { output, data };
  }
  const first = failed.slice(0, FAILURES_TOLD_MAX).map(lineOf).join('; ');
  const more = failed.length > FAILURES_TOLD_MAX ? '; …' : '';
  const failure = new AgentError(
    'APPLY_FAILED',
    `${failed.length} of ${objects.length} objects failed: ${first}${more}`,
    { hint: 'The others are in place. Correct these and apply the manifest again' },
  );
  return { output, data, failure };
}

function lineOf({ kind, namespace, name, result, message }: AppliedObject): string {
  const where = namespace === undefined ? name : `${namespace}/${name}`;
  return `${kind} ${where}: ${result}${message === undefined ? '' : ` (${message})`}`;
}
