import { dlopen, FFIType } from 'bun:ffi';
import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeptSockets } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { metricsDoor } from '../../src/server/metrics-door.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../support/no-kept-sockets.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';

const SOURCES = {
  ...NO_SOURCES,
  metrics: async (accept: string) => ({ type: 'text/plain', text: `up 1 ${accept}\n` }),
};

interface DoorWishes {
  readonly clientCa?: string;
  readonly port?: number;
  readonly address?: string;
  readonly kept?: KeptSockets;
}

async function openDoor(more: DoorWishes = {}) {
  const directory = await tempDirectory();
  const at = (name: string) => join(directory.path, name);
  if (more.clientCa !== undefined) {
    await writeFile(at('client-ca'), more.clientCa);
  }
  const log = memoryLog();
  const clock = more.port === undefined ? systemClock : manualClock();
  const stop = new AbortController();
  const { kept = NO_KEPT_SOCKETS, address = '127.0.0.1' } = more;
  const files = systemFiles('/');
  const deps = { clock, random: systemRandom, files, log, kept, sources: SOURCES };
  const door = metricsDoor(deps, {
    ...{ address, port: more.port ?? 0 },
    ...{ certificatePath: at('tls.pem'), tokenPath: at('token') },
    clientCaPath: more.clientCa === undefined ? undefined : at('client-ca'),
  });
  const { done } = await door.start(stop.signal);
  return {
    ...{ log, door, clock },
    write: (name: string, text: string) => writeFile(at(name), text),
    read: async (name: string) => (await Bun.file(at(name)).text()).trim(),
    ready: () => until('it listens', () => door.port() !== 0),
    ask: async (path: string, init: BunFetchRequestInit = {}) => {
      const ca = await Bun.file(at('tls.pem')).text();
      const url = `https://127.0.0.1:${door.port()}${path}`;
      const answer = await fetch(url, { ...init, tls: { ca, ...init.tls } });
      return [answer.status, await answer.text()] as const;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('who shows the token is told the metrics, in the format that it asks for, and nothing else', async () => {
  await using door = await openDoor();
  await door.ready();
  const headers = { authorization: `Bearer ${await door.read('token')}`, accept: 'x/y' };
  expect(await door.ask('/metrics', { headers })).toEqual([200, 'up 1 x/y\n']);
  expect((await door.ask('/version', { headers }))[0]).toBe(404);
  expect((await door.ask('/metrics', { headers, method: 'POST' }))[0]).toBe(405);
});

test('without the token, or with a wrong one, nothing is told', async () => {
  await using door = await openDoor();
  await door.ready();
  for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
    const [status, body] = await door.ask('/metrics', { headers });
    expect([status, JSON.parse(body).code]).toEqual([401, 'LOCAL_TOKEN_REJECTED']);
    expect(body).not.toContain(await door.read('token'));
  }
});

test('with client_ca_file only a certificate of it opens the door, and no token is made', async () => {
  const [clients, others] = await Promise.all([makeCertificates(['a']), makeCertificates(['b'])]);
  await using door = await openDoor({ clientCa: clients.ca });
  await door.ready();
  const own = await door.ask('/metrics', { tls: { cert: clients.cert, key: clients.key } });
  expect(own).toEqual([200, 'up 1 */*\n']);
  await expect(door.ask('/metrics')).rejects.toThrow();
  const foreign = { cert: others.cert, key: others.key };
  await expect(door.ask('/metrics', { tls: foreign })).rejects.toThrow();
  await expect(door.read('token')).rejects.toThrow();
});

test('where the port is taken it says so, tries again, and the agent goes on', async () => {
  const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  await using door = await openDoor({ port: taken.port });
  await until('it has tried', () => door.log.entries.length > 1);
  taken.stop(true);
  const clock = door.clock as ReturnType<typeof manualClock>;
  await clock.whenSleeping(1);
  await clock.advance(30_000);
  await until('it listens', () => door.log.entries.length > 2);
  expect(door.log.entries.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'info made the certificate of the TLS listener',
    'warn cannot answer scrapers yet (metrics.listen)',
    'info metrics are answered',
  ]);
});

/** What systemd does with sockets that a process leaves, in this one. */
function keptHere() {
  const { symbols } = dlopen('libc.so.6', {
    dup: { args: [FFIType.i32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const store = new Map<string, number>();
  const kept: KeptSockets = {
    take: (name) => store.get(name),
    drop: (descriptor) => void symbols.close(descriptor),
    keep: (name, descriptor) => void store.set(name, symbols.dup(descriptor)),
    forget: (name) => void store.delete(name),
    closeRest: () => undefined,
  };
  return { store, kept };
}

test.each(['127.0.0.1', '::1'])(
  'over a restart scrapers of %s wait, and are not refused',
  async (address) => {
    const { store, kept } = keptHere();
    const host = address.includes(':') ? `[${address}]` : address;
    let port = 0;
    {
      await using first = await openDoor({ address, kept });
      port = first.door.port();
    }
    expect([...store.keys()]).toEqual([`metrics-${address.replaceAll(':', '.')}-${port}`]);
    const tls = { rejectUnauthorized: false };
    const waiting = fetch(`https://${host}:${port}/metrics`, { tls });
    await using second = await openDoor({ address, port, kept });
    expect((await waiting).status).toBe(401);
    expect([second.door.port(), store.size]).toEqual([port, 0]);
  },
);

test('a socket that cannot be gone on with is given up: once its reason is gone, the door opens', async () => {
  const { kept } = keptHere();
  const clients = await makeCertificates(['a']);
  let port = 0;
  {
    await using first = await openDoor({ kept });
    port = first.door.port();
  }
  await using second = await openDoor({ port, kept, clientCa: 'no certificate' });
  await second.write('client-ca', clients.ca);
  const clock = second.clock as ReturnType<typeof manualClock>;
  await clock.whenSleeping(1);
  await clock.advance(30_000);
  await until('it has tried again', () => second.log.entries.length > 3);
  expect(second.log.entries.map(({ level, message }) => `${level} ${message}`)).toEqual([
    'info made the certificate of the TLS listener',
    'warn cannot go on with a socket of the process before',
    'warn cannot answer scrapers yet (metrics.listen)',
    'info metrics are answered',
  ]);
});
