import { dlopen, FFIType, ptr } from 'bun:ffi';

/** Linux socket(7) numbers; the same on x86-64 and arm64. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

/** sun_path of unix(7), bytes. */
export const SOCKET_PATH_BYTES_MAX = 108;
/** struct iovec and struct msghdr of sendmsg(2), and where its parts are, bytes; of all 64-bit Linux. */
const PART_BYTES = 16;
const MESSAGE_BYTES = 56;
const NAME_AT = 0;
const NAME_LENGTH_AT = 8;
const PARTS_AT = 16;
const PART_COUNT_AT = 24;
const CONTROL_AT = 32;
const CONTROL_LENGTH_AT = 40;
/** struct cmsghdr with one descriptor: CMSG_LEN and CMSG_SPACE of cmsg(3), bytes. */
const RIGHTS_LENGTH_BYTES = 20;
const RIGHTS_SPACE_BYTES = 24;

/**
 * Sends datagrams to a Unix socket. Bun has no such sockets, so libc sends them: from the main process itself, which
 * is who the receiver sees. Each is addressed anew, so that a receiver may be restarted.
 * @param path of fewer than `SOCKET_PATH_BYTES_MAX` bytes; a leading NUL means the abstract namespace
 * @returns what sends one, never waits, and says whether the receiver has it; of a descriptor that goes with it the
 *   receiver gets a copy of its own
 */
export function unixDatagrams(path: string): (data: Uint8Array, descriptor?: number) => boolean {
  const name = Buffer.from(path);
  const address = Buffer.alloc(2 + name.length + (path.startsWith('\0') ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const libc = dlopen('libc.so.6', {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
  });
  const socket = libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    throw new Error('Cannot open a Unix socket');
  }
  return (data, descriptor) => {
    const part = Buffer.alloc(PART_BYTES);
    point(part, 0, data);
    part.writeBigUInt64LE(BigInt(data.length), 8);
    const message = Buffer.alloc(MESSAGE_BYTES);
    point(message, NAME_AT, address);
    message.writeUInt32LE(address.length, NAME_LENGTH_AT);
    point(message, PARTS_AT, part);
    message.writeBigUInt64LE(1n, PART_COUNT_AT);
    const rights = descriptor === undefined ? undefined : rightsOf(descriptor);
    if (rights !== undefined) {
      point(message, CONTROL_AT, rights);
      message.writeBigUInt64LE(BigInt(rights.length), CONTROL_LENGTH_AT);
    }
    const sent = libc.symbols.sendmsg(socket, ptr(message), MSG_NOSIGNAL | MSG_DONTWAIT);
    return Number(sent) === data.length;
  };
}

function point(where: Buffer, offset: number, to: Uint8Array): void {
  where.writeBigUInt64LE(BigInt(ptr(to)), offset);
}

/** unix(7), SCM_RIGHTS. */
function rightsOf(descriptor: number): Buffer {
  const rights = Buffer.alloc(RIGHTS_SPACE_BYTES);
  rights.writeBigUInt64LE(BigInt(RIGHTS_LENGTH_BYTES), 0);
  rights.writeInt32LE(SOL_SOCKET, 8);
  rights.writeInt32LE(SCM_RIGHTS, 12);
  rights.writeInt32LE(descriptor, 16);
  return rights;
}
