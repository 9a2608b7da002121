import type { V1Namespace } from '@kubernetes/client-node';
import { KINDS, pathOfKind, pathOfObject, typeOf } from '../../core/kinds.ts';
import { MANAGED_BY } from '../../core/labels.ts';
import { isRejectedWith } from '../../kubernetes/api/rejection.ts';
import { waitUntilGone } from '../../kubernetes/objects/removal.ts';
import type { CommandContext } from '../engine/handler.ts';

/**
 * Makes a namespace where there is none. A namespace that is being deleted accepts no objects, so
 * this waits until it is gone.
 */
export async function ensureNamespace(
  { clock, kubernetes, signal }: Pick<CommandContext, 'clock' | 'kubernetes' | 'signal'>,
  name: string,
): Promise<void> {
  const path = pathOfObject(KINDS.namespace, { name });
  if ((await waitUntilGone({ clock, client: kubernetes }, path, signal)) !== undefined) {
    return;
  }
  const namespace: V1Namespace = {
    ...typeOf(KINDS.namespace),
    metadata: { name, labels: { ...MANAGED_BY } },
  };
  try {
    await kubernetes.create(pathOfKind(KINDS.namespace), namespace, signal);
  } catch (thrown) {
    // Somebody else made it first; all that matters is that it is there.
    if (!isRejectedWith(409, thrown)) {
      throw thrown;
    }
  }
}
