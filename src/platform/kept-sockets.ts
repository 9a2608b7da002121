import { dlopen, FFIType } from 'bun:ffi';
import type { KeptSockets } from '../core/ports.ts';
import type { Notify } from './systemd-notify.ts';

/** The first descriptor that the service manager hands over (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3;
/** More than the unit lets it keep is not ours (FileDescriptorStoreMax=). */
const DESCRIPTORS_MAX = 16;
/**
 * Connections that may wait while nobody accepts: 500 a second over 4 s, and fewer than a door then takes at once.
 * The runtime's own number is 512; beyond it clients knock again, after 1, 3 and 7 s.
 */
const WAITING_MAX = 2_048;
/** fcntl(2) on Linux. */
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** What the service manager has said to this process at its start. */
type Given = Readonly<Record<string, string | undefined>>;

/**
 * Sockets in the store of the service manager (sd_pid_notify_with_fds(3), FDSTORE=1). It hands them to
 * the process that it starts next, and closes them when it starts none.
 * @param notify undefined where no service manager listens: then nothing is kept
 */
export function storedSockets(
  { env, notify }: { readonly env: Given; readonly notify: Notify | undefined },
  pid: number,
): KeptSockets {
  const found = handedOver(env, pid);
  // A program that this one starts must not hold them.
  for (const descriptor of found.values()) {
    libc().fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
  const forget = (name: string) => notify?.(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  return {
    take: (name) => {
      const descriptor = found.get(name);
      found.delete(name);
      return descriptor;
    },
    drop: (descriptor) => void libc().close(descriptor),
    keep: (name, descriptor) => {
      if (notify !== undefined) {
        libc().listen(descriptor, WAITING_MAX);
        notify(`FDSTORE=1\nFDNAME=${name}`, descriptor);
      }
    },
    forget,
    closeRest: () => {
      for (const [name, descriptor] of found) {
        libc().close(descriptor);
        forget(name);
      }
      found.clear();
    },
  };
}

/** By name. Of two with one name the newer counts, and the other is closed. */
function handedOver(env: Given, pid: number): Map<string, number> {
  const count = Number(env['LISTEN_FDS'] ?? 0);
  const found = new Map<string, number>();
  if (env['LISTEN_PID'] !== String(pid) || !(count > 0 && count <= DESCRIPTORS_MAX)) {
    return found;
  }
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  for (let at = 0; at < count; at += 1) {
    const name = names[at] ?? '';
    const older = found.get(name);
    if (older !== undefined) {
      libc().close(older);
    }
    found.set(name, FIRST_DESCRIPTOR + at);
  }
  return found;
}

/** Loaded only where there is something to do. */
function libc() {
  return dlopen('libc.so.6', {
    fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  }).symbols;
}
