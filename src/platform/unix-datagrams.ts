import { dlopen, FFIType, ptr } from 'bun:ffi';

/** Linux socket(7) numbers; the same on x86-64 and arm64. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** sun_path of unix(7), bytes. */
export const SOCKET_PATH_BYTES_MAX = 108;

/**
 * Sends datagrams to a Unix socket. Bun has no such sockets, so libc sends them: from the main process itself, which
 * is who the receiver sees. Each is addressed anew, so that a receiver may be restarted.
 * @param path of fewer than `SOCKET_PATH_BYTES_MAX` bytes; a leading NUL means the abstract namespace
 * @returns what sends one, never waits, and says whether the receiver has it
 */
export function unixDatagrams(path: string): (message: Uint8Array) => boolean {
  const name = Buffer.from(path);
  const address = Buffer.alloc(2 + name.length + (path.startsWith('\0') ? 0 : 1));
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
    throw new Error('Cannot open a Unix socket');
  }
  return (message) => {
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    const [data, to] = [ptr(message), ptr(address)];
    const sent = libc.symbols.sendto(socket, data, message.length, flags, to, address.length);
    return Number(sent) === message.length;
  };
}
