import { AGENT_USER, DAEMON_SOCKET_TARGET, type Places } from '../../core/places.ts';
import type { Files, Random } from '../../core/ports.ts';
import type { MachineMark } from '../../protocol/files/machine-mark.ts';
import { readMachineId } from '../facts/machine-id.ts';
import { isListed } from './account.ts';

/** Bytes of randomness in the local token. */
const TOKEN_BYTES = 32;
/** As it stands in its file. */
const LOCAL_TOKEN = /^[\w-]{43}\n$/;

/**
 * Makes what root puts into the runtime directory at each start of the daemon: a new local token, and
 * the link to the daemon's socket. The directory belongs to root, because kubeconfigs name the token's
 * file, and root's kubectl sends whatever that file contains. Does nothing where no daemon was set up.
 */
export async function prepareRuntimeDirectory({
  files,
  places,
  random,
}: {
  readonly files: Files;
  readonly places: Places;
  readonly random: Random;
}): Promise<void> {
  if (!(await isListed(files, '/etc/group'))) {
    return;
  }
  // First of all: from now on nobody else can change its content.
  await files.claimDirectory(places.runtimeDirectory, { mode: 0o755, owner: 'root:root' });
  await keepTokenBefore(files, places);
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url');
  await files.writeAtomic(places.localTokenFile, `${token}\n`, {
    mode: 0o640,
    owner: `root:${AGENT_USER}`,
  });
  await files.writeAtomic(places.machineMarkFile, `${JSON.stringify(await markOf(files))}\n`, {
    mode: 0o640,
    owner: `root:${AGENT_USER}`,
  });
  await files.link(DAEMON_SOCKET_TARGET, places.socketLink);
}

/** Clients have it still while the agent is started anew (server/local-auth.ts). */
async function keepTokenBefore(files: Files, places: Places): Promise<void> {
  // What stood there before the directory was root's may be anything, a link to a secret too.
  const found = await files.stat(places.localTokenFile);
  const text =
    found?.kind === 'file' && found.uid === 0
      ? ((await files.readText(places.localTokenFile)) ?? '')
      : '';
  if (LOCAL_TOKEN.test(text)) {
    await files.writeAtomic(places.localTokenBeforeFile, text, {
      mode: 0o640,
      owner: `root:${AGENT_USER}`,
    });
  } else {
    await files.remove(places.localTokenBeforeFile);
  }
}

/** Read by root: only root may read the hardware's number, and the daemon's own /proc is another one. */
async function markOf(files: Files): Promise<MachineMark> {
  const line = async (path: string) => (await files.readText(path))?.trim() || null;
  return {
    machine: (await readMachineId(files)) || null,
    hardware: await hardwareHash(files),
    boot: await line('/proc/sys/kernel/random/boot_id'),
  };
}

/**
 * A hash of the number that firmware or hypervisor give to a machine; null where there is none. Which
 * half of it is written backwards differs from kernel to kernel (SMBIOS, 7.2.1), so both ways are one.
 */
async function hardwareHash(files: Files): Promise<string | null> {
  const number = (await files.readText('/sys/class/dmi/id/product_uuid'))?.trim().toLowerCase();
  if (number === undefined || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(number)) {
    return null;
  }
  const [first, second, third, ...rest] = number.split('-');
  const swapped = [backwards(first), backwards(second), backwards(third), ...rest].join('-');
  const canonical = [number, swapped].toSorted()[0] ?? number;
  return new Bun.CryptoHasher('sha256').update(`pipeops-agent ${canonical}`).digest('hex');
}

/** Byte by byte. */
function backwards(hex = ''): string {
  return (hex.match(/../g) ?? []).toReversed().join('');
}
