import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

const MIB = 1024 * 1024;
/** k3s' own minimum for a worker, less what the kernel keeps of 512 MB. */
const MEMORY_BYTES_MIN = 450 * MIB;
const DISK_FREE_BYTES_MIN = 2 * 1024 * MIB;
/** Where most is written: images, containers, the data of Kubernetes. */
const DISK_PATHS = ['/var/lib/rancher', '/opt'];

/** @throws AgentError HOST_UNSUPPORTED, DISK_FULL */
export async function checkMachine(
  deps: { readonly files: Files },
  architecture: string,
): Promise<void> {
  await checkSystemd(deps.files);
  await checkProcessor(deps.files, architecture);
  await checkMemory(deps.files);
  await checkDisk(deps.files);
}

/** sd_booted(3): the directory is there exactly when systemd is the init system. */
async function checkSystemd(files: Files): Promise<void> {
  if ((await files.stat('/run/systemd/system')) === undefined) {
    throw new AgentError('HOST_UNSUPPORTED', 'This machine does not run systemd', {
      hint: 'Use a machine with systemd: Debian 12, Ubuntu 22.04, RHEL 9 or newer',
    });
  }
}

async function checkProcessor(files: Files, architecture: string): Promise<void> {
  if (architecture !== 'x64' && architecture !== 'arm64') {
    throw new AgentError('HOST_UNSUPPORTED', `There is no build for "${architecture}"`, {
      hint: 'Use an x86-64 or arm64 machine',
    });
  }
  const cpu = (await files.readText('/proc/cpuinfo', 16 * MIB)) ?? '';
  if (architecture === 'x64' && !/^flags\s*:.*\bsse4_2\b/m.test(cpu)) {
    throw new AgentError('HOST_UNSUPPORTED', 'The processor lacks SSE4.2', {
      hint: 'Give the virtual machine a newer CPU model, for example "host"',
    });
  }
}

async function checkMemory(files: Files): Promise<void> {
  const text = (await files.readText('/proc/meminfo')) ?? '';
  const kib = Number(/^MemTotal:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  if (kib * 1024 < MEMORY_BYTES_MIN) {
    const mib = Math.round(kib / 1024);
    throw new AgentError('HOST_UNSUPPORTED', `The machine has ${mib} MiB of memory, too little`, {
      hint: 'Kubernetes needs 512 MB for a worker and 2 GB for a server',
    });
  }
}

async function checkDisk(files: Files): Promise<void> {
  for (const path of DISK_PATHS) {
    const { freeBytes } = await files.diskSpace(path);
    if (freeBytes < DISK_FREE_BYTES_MIN) {
      const freeMib = Math.floor(freeBytes / MIB);
      throw new AgentError('DISK_FULL', `Only ${freeMib} MiB are free for ${path}`, {
        hint: `Free at least ${DISK_FREE_BYTES_MIN / MIB} MiB there, then run the same command again`,
      });
    }
  }
}
