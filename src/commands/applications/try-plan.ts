/** Checks an application as a whole by Kubernetes' own rules, before any part of it is made. */
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import type { Manifest } from '../../kubernetes/api/client.ts';
import { ApiRejection } from '../../kubernetes/api/rejection.ts';
import type { DeploymentTarget } from '../../protocol/commands/fields.ts';
import type { CommandContext } from '../engine/handler.ts';
import { applicationPaths } from './managed-objects.ts';
import type { ApplicationPlan } from './plan.ts';

/** This namespace is always there: objects for a namespace that is not made yet are tried here. */
const TRIAL_NAMESPACE = 'default';
const INVALID = 422;

/** @throws AgentError COMMAND_INVALID with what Kubernetes says against an object of the plan */
export async function tryPlan(
  context: CommandContext,
  target: DeploymentTarget,
  plan: ApplicationPlan,
): Promise<void> {
  const { kubernetes, signal } = context;
  const there = await kubernetes.find(
    pathOfObject(KINDS.namespace, { name: target.namespace }),
    signal,
  );
  const isThere = there !== undefined && there.metadata?.deletionTimestamp === undefined;
  const paths = applicationPaths(isThere ? target : { ...target, namespace: TRIAL_NAMESPACE });
  for (const part of ['deployment', 'service', 'ingress'] as const) {
    const wanted = plan[part];
    if (typeof wanted !== 'string') {
      await tryObject(context, paths[part], { ...wanted }, isThere);
    }
  }
}

async function tryObject(
  { kubernetes, signal }: CommandContext,
  path: string,
  manifest: Manifest,
  isThere: boolean,
): Promise<void> {
  try {
    if (isThere) {
      await kubernetes.apply(path, manifest, signal, { dryRun: true });
    } else {
      const metadata = { ...Object(manifest['metadata']), namespace: TRIAL_NAMESPACE };
      const collection = path.slice(0, path.lastIndexOf('/'));
      await kubernetes.create(collection, { ...manifest, metadata }, signal, { dryRun: true });
    }
  } catch (thrown) {
    if (!(thrown instanceof AgentError) || signal.aborted) {
      throw thrown;
    }
    if (thrown instanceof ApiRejection && thrown.status === INVALID) {
      const problems = thrown.causes.length > 0 ? thrown.causes : [thrown.message];
      throw new AgentError('COMMAND_INVALID', `Kubernetes refuses it: ${thrown.message}`, {
        hint: 'Correct the payload; nothing was changed',
        details: { problems },
        cause: thrown,
      });
    }
    // Other quotas and rules hold in another namespace, and the name may be taken there.
    if (isThere) {
      throw thrown;
    }
  }
}
