import type { V1Namespace } from '@kubernetes/client-node';
import { AgentError } from '../core/errors.ts';
import type { CommandContext } from './handler.ts';
import { MANAGED_BY } from './managed-objects.ts';

/** Makes a namespace where there is none. */
export async function ensureNamespace(
  { kubernetes, signal }: Pick<CommandContext, 'kubernetes' | 'signal'>,
  name: string,
): Promise<void> {
  if ((await kubernetes.find(`/api/v1/namespaces/${name}`, signal)) !== undefined) {
    return;
  }
  const namespace: V1Namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: MANAGED_BY },
  };
  try {
    await kubernetes.create('/api/v1/namespaces', namespace, signal);
  } catch (thrown) {
    // Somebody was faster: it is there, which is all that was wanted.
    if (!(thrown instanceof AgentError && thrown.details?.['status'] === 409)) {
      throw thrown;
    }
  }
}
