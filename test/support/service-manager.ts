/** systemd's end of sd_notify(3). */
import { dlopen, FFIType, ptr } from 'bun:ffi';

/** Numbers of socket(7) on Linux. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const libc = dlopen('libc.so.6', {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
}).symbols;

export interface ServiceManager extends Disposable {
  /** The next datagram; undefined when none waits. One that was sent is there at once. */
  receive(): string | undefined;
}

/** Listens like systemd does. @param name path of the socket, or `\0name` in the abstract space */
export function serviceManager(name: string): ServiceManager {
  const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  const path = Buffer.from(name.startsWith('\0') ? name : `${name}\0`);
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path]);
  if (libc.bind(descriptor, ptr(address), address.length) !== 0) {
    throw new Error(`Cannot listen at "${name}"`);
  }
  return {
    receive: () => {
      const datagram = Buffer.alloc(4_096);
      const length = Number(libc.recv(descriptor, ptr(datagram), datagram.length, MSG_DONTWAIT));
      return length < 0 ? undefined : datagram.toString('utf8', 0, length);
    },
    [Symbol.dispose]: () => {
      libc.close(descriptor);
    },
  };
}
