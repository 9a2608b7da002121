import type { Files } from '../../core/ports.ts';

/** Written at each start of a node (flannel, "Integrating with the container runtime"). */
const SUBNET_FILE = '/run/flannel/subnet.env';
const SUBNET_FILE_LIMIT_BYTES = 4 * 1024;

/**
 * The networks of pods that this node has been told by its servers, in CIDR form: a worker has no settings of
 * them. Empty where flannel has not run since the boot.
 */
export async function flannelNetworks({
  files,
}: {
  readonly files: Pick<Files, 'readText'>;
}): Promise<readonly string[]> {
  const text = (await files.readText(SUBNET_FILE, SUBNET_FILE_LIMIT_BYTES)) ?? '';
  return [...text.matchAll(/^FLANNEL_(?:IPV6_)?NETWORK=([0-9a-f.:]+\/\d+)$/gm)].map(
    ([, network = '']) => network,
  );
}
