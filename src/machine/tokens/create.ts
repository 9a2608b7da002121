import { joinLine } from '../../host/cluster/join-line.ts';
import {
  type CreatedJoinToken,
  type JoinTokenOptions,
  newJoinToken,
  revokeJoinToken,
} from '../../host/cluster/join-tokens.ts';
import type { MachineContext } from '../context.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { KUBERNETES_ACCOUNT } from '../kubernetes-account.ts';
import { openDownloads, readCa } from '../outbound.ts';

export interface JoinTokenForMachine extends CreatedJoinToken {
  /** The whole line for the new machine: secret, as it holds the token. */
  readonly line: string;
  /** Where this server offers what the machine needs, as long as the token lives. */
  readonly serve: { readonly address: string; readonly unit: string } | null;
}

/** What a person wants beside the token itself. */
export interface JoinTokenWishes extends JoinTokenOptions {
  /** Where this server offers programs; undefined: the machine fetches them where this server did. */
  readonly servePort: number | undefined;
}

/**
 * `token create`: a token, and the line that makes a node of another machine with it.
 * @throws AgentError NOT_A_SERVER, TOOL_FAILED, KUBERNETES_API, CONFIG_INVALID, SERVERS_NOT_READY; with `servePort`
 *   HOST_UNSUPPORTED, PORT_IN_USE, DOWNLOAD_FAILED
 */
export async function createJoinToken(
  context: MachineContext,
  { servePort, ...options }: JoinTokenWishes,
): Promise<JoinTokenForMachine> {
  const { config } = await loadEffectiveConfig(context, {});
  const created = await newJoinToken(
    context,
    { ...options, serverAddress: config.k3s.server_address },
    KUBERNETES_ACCOUNT,
  );
  if (servePort === undefined) {
    const sources = { baseUrl: config.agent.base_url, k3sMirror: config.k3s.mirror };
    return { ...created, line: joinLine(created.token, sources), serve: null };
  }
  try {
    const { line, address, unit } = await offer(context, created, servePort);
    return { ...created, line, serve: { address, unit } };
  } catch (thrown) {
    await revokeJoinToken(context, created.id); // Nobody was told of it.
    throw thrown;
  }
}

async function offer(context: MachineContext, created: CreatedJoinToken, port: number) {
  const { startOffer } = await import('./offer.ts');
  const { config } = await loadEffectiveConfig(context, {});
  const downloads = await openDownloads(context, config, await readCa(context, config));
  try {
    return await startOffer(context, created, { port, downloads, config });
  } finally {
    downloads.close();
  }
}
