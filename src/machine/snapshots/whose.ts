import { nodeNameOf } from '../../config/node-settings.ts';
import { K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { readK3sFiles } from '../../host/k3s/told.ts';
import type { MachineContext } from '../context.ts';

/** Which cluster this is, by its CA as in k3s' tokens, and which node. @throws AgentError CONFIG_INVALID */
export async function whoseHere(
  context: MachineContext,
): Promise<{ readonly cluster: string; readonly node: string }> {
  const ca = (await context.files.readText(K3S_SERVER_CA_FILE)) ?? '';
  const { settings } = await readK3sFiles(context);
  const given = settings['node-name'];
  return {
    cluster: new Bun.CryptoHasher('sha256').update(ca).digest('hex'),
    node: nodeNameOf(context.hostname, given === undefined ? undefined : String(given)),
  };
}
