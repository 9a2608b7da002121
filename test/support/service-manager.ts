/** systemd's end of sd_notify(3), with its store of descriptors. */
import { dlopen, FFIType, ptr } from 'bun:ffi';

/** Numbers of socket(7) and unix(7) on Linux. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** struct msghdr, and struct cmsghdr with one descriptor, bytes. */
const MESSAGE_BYTES = 56;
const RIGHTS_BYTES = 24;

const libc = dlopen('libc.so.6', {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recvmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
}).symbols;

export interface ServiceManager extends Disposable {
  /** The next datagram; undefined when none waits. One that was sent is there at once. */
  receive(): string | undefined;
  /** Of all that has come: the descriptors that are to be handed to the next process, by name. */
  stored(): ReadonlyMap<string, number>;
}

/** Listens like systemd does. @param name path of the socket, or `\0name` in the abstract space */
export function serviceManager(name: string): ServiceManager {
  const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  const path = Buffer.from(name.startsWith('\0') ? name : `${name}\0`);
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path]);
  if (libc.bind(descriptor, ptr(address), address.length) !== 0) {
    throw new Error(`Cannot listen at "${name}"`);
  }
  const store = new Map<string, number>();
  const drop = (key: string) => {
    libc.close(store.get(key) ?? -1);
    store.delete(key);
  };
  return {
    receive: () => receive(descriptor)?.text,
    stored: () => {
      for (let sent = receive(descriptor); sent !== undefined; sent = receive(descriptor)) {
        const [what, key = ''] = sent.text.split('\nFDNAME=');
        if (what === 'FDSTORE=1' && sent.descriptor !== undefined) {
          drop(key);
          store.set(key, sent.descriptor);
        } else if (what === 'FDSTOREREMOVE=1') {
          drop(key);
        }
      }
      return store;
    },
    [Symbol.dispose]: () => {
      libc.close(descriptor);
      for (const key of [...store.keys()]) {
        drop(key);
      }
    },
  };
}

function receive(descriptor: number) {
  const datagram = Buffer.alloc(4_096);
  const part = Buffer.alloc(16);
  part.writeBigUInt64LE(BigInt(ptr(datagram)), 0);
  part.writeBigUInt64LE(BigInt(datagram.length), 8);
  const rights = Buffer.alloc(RIGHTS_BYTES);
  const message = Buffer.alloc(MESSAGE_BYTES);
  message.writeBigUInt64LE(BigInt(ptr(part)), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(BigInt(ptr(rights)), 32);
  message.writeBigUInt64LE(BigInt(RIGHTS_BYTES), 40);
  const flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
  const length = Number(libc.recvmsg(descriptor, ptr(message), flags));
  return length < 0
    ? undefined
    : {
        text: datagram.toString('utf8', 0, length),
        descriptor: message.readBigUInt64LE(40) === 0n ? undefined : rights.readInt32LE(16),
      };
}
