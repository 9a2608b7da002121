import { dlopen, FFIType, ptr } from 'bun:ffi';

/** Linux socket(7) numbers; the same on x86-64 and arm64. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** sun_path of unix(7), bytes. */
const SOCKET_PATH_BYTES_MAX = 108;

export type Notify = (state: string) => void;

/**
 * sd_notify(3): one datagram of KEY=VALUE lines to $NOTIFY_SOCKET. Bun has no Unix datagram
 * sockets, so libc sends it: from the main process itself, which lets the unit keep
 * `NotifyAccess=main`.
 * @param socketPath $NOTIFY_SOCKET; a leading "@" means the abstract namespace
 * @returns undefined where no service manager listens
 */
export function systemdNotify(socketPath: string | undefined): Notify | undefined {
  if (socketPath === undefined || socketPath === '') {
    return undefined;
  }
  const name = Buffer.from(socketPath.replace(/^@/, '\0'));
  if (name.length >= SOCKET_PATH_BYTES_MAX) {
    throw new RangeError(`Cannot use NOTIFY_SOCKET: its path is longer than the system allows`);
  }
  const address = Buffer.alloc(2 + name.length + (socketPath.startsWith('@') ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const libc = dlopen('libc.so.6', {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    sendto: {
      args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i64,
    },
  });
  const socket = libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    throw new Error('Cannot open a socket to the service manager');
  }
  return (state) => {
    const message = Buffer.from(state);
    // A lost message is harmless: the next one repeats it, and the watchdog decides in the end.
    libc.symbols.sendto(
      socket,
      ptr(message),
      message.length,
      MSG_NOSIGNAL,
      ptr(address),
      address.length,
    );
  };
}
