import { dlopen, FFIType, ptr } from 'bun:ffi';
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemdNotify } from '../../src/platform/systemd-notify.ts';
import { tempDirectory } from '../support/temp-dir.ts';

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

interface ServiceManager extends Disposable {
  /** The next datagram; undefined when none waits. One that was sent is there at once. */
  receive(): string | undefined;
}

/** Listens like systemd does. @param name path of the socket, or `\0name` in the abstract space */
function listen(name: string): ServiceManager {
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

describe('systemdNotify()', () => {
  test('sends each state as one datagram', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'notify');
    using manager = listen(path);
    const notify = systemdNotify(path);

    notify?.('READY=1\nSTATUS=Läuft');
    notify?.('WATCHDOG=1');
    expect([manager.receive(), manager.receive(), manager.receive()]).toEqual([
      'READY=1\nSTATUS=Läuft',
      'WATCHDOG=1',
      undefined,
    ]);
  });

  test('reaches a socket in the abstract namespace', () => {
    const name = `pipeops-agent-test-${crypto.randomUUID()}`;
    using manager = listen(`\0${name}`);
    systemdNotify(`@${name}`)?.('READY=1');
    expect(manager.receive()).toBe('READY=1');
  });

  test('reaches the service manager again after that was restarted', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'notify');
    const notify = systemdNotify(path);
    notify?.('READY=1');

    using manager = listen(path);
    notify?.('WATCHDOG=1');
    expect([manager.receive(), manager.receive()]).toEqual(['WATCHDOG=1', undefined]);
  });

  test.each([undefined, ''])('gives undefined where no service manager listens: %j', (path) => {
    expect(systemdNotify(path)).toBeUndefined();
  });

  test('refuses a path that no socket can have', () => {
    expect(() => systemdNotify(`/${'x'.repeat(107)}`)).toThrow(
      new RangeError('Cannot use NOTIFY_SOCKET: its path is longer than the system allows'),
    );
  });
});
