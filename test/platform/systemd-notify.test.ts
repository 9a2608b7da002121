import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemdNotify } from '../../src/platform/systemd-notify.ts';
import { serviceManager } from '../support/service-manager.ts';
import { tempDirectory } from '../support/temp-dir.ts';

describe('systemdNotify()', () => {
  test('sends each state as one datagram', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'notify');
    using manager = serviceManager(path);
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
    using manager = serviceManager(`\0${name}`);
    systemdNotify(`@${name}`)?.('READY=1');
    expect(manager.receive()).toBe('READY=1');
  });

  test('reaches the service manager again after that was restarted', async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'notify');
    const notify = systemdNotify(path);
    notify?.('READY=1');

    using manager = serviceManager(path);
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
