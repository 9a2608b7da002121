/**
 * Doors on loopback in a process of their own: `kept-door-program PORT TLS_PORT NAME`, with certificate and key in
 * $TLS. Prints both ports when it listens, answers every request with its name, and ends in order at SIGTERM.
 */
import type { TLSOptions } from 'bun';
import { headRoom } from '../../src/http1/head-room.ts';
import type { DoorDeps } from '../../src/http1/server/connection.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { storedSockets } from '../../src/platform/kept-sockets.ts';
import { systemdNotify } from '../../src/platform/systemd-notify.ts';
import { loopbackDoor } from '../../src/server/loopback-door.ts';
import { memoryLog } from './memory-log.ts';

const [, , port = '0', tlsPort = '0', name = ''] = process.argv;
const { env, pid } = process;
const kept = storedSockets({ env, notify: systemdNotify(env['NOTIFY_SOCKET']) }, pid);
const log = memoryLog();
const deps = { clock: systemClock, log, kept };
const answering: DoorDeps = {
  headRoom: headRoom(),
  admit: () => undefined,
  malformed: (status, body) => ({ status, body }),
  begin: (_, sink) => {
    queueMicrotask(() => {
      sink.head({ status: 200, reason: 'OK', headers: [['Content-Length', String(name.length)]] });
      sink.data(Buffer.from(name));
      sink.end([]);
    });
    const nothing = () => undefined;
    return {
      write: () => true,
      endRequest: nothing,
      pause: nothing,
      resume: nothing,
      abort: nothing,
    };
  },
};
const tls: TLSOptions = JSON.parse(env['TLS'] ?? '');
const plain = loopbackDoor(deps, answering, { port: Number(port), setting: 'plain' });
const secure = loopbackDoor(deps, answering, { port: Number(tlsPort), setting: 'tls', tls });
kept.closeRest();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
const done = Promise.all([plain.serveUntil(stop.signal), secure.serveUntil(stop.signal)]);
process.stdout.write(`${JSON.stringify([plain.port, secure.port])}\n`);
await done;
process.exit(log.entries.length);
