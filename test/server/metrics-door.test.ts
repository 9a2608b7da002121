import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { metricsDoor } from '../../src/server/metrics-door.ts';
import { manualClock } from '../support/manual-clock.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { makeCertificates } from '../support/tls.ts';
import { until } from '../support/until.ts';

const SOURCES = {
  ...NO_SOURCES,
  metrics: async (accept: string) => ({ type: 'text/plain', text: `up 1 ${accept}\n` }),
};

async function openDoor(more: { clientCa?: string; port?: number } = {}) {
  const directory = await tempDirectory();
  const at = (name: string) => join(directory.path, name);
  if (more.clientCa !== undefined) {
    await writeFile(at('client-ca'), more.clientCa);
  }
  const log = memoryLog();
  const clock = more.port === undefined ? systemClock : manualClock();
  const stop = new AbortController();
  const deps = { clock, random: systemRandom, files: systemFiles('/'), log, sources: SOURCES };
  const door = metricsDoor(deps, {
    ...{ address: '127.0.0.1', port: more.port ?? 0 },
    ...{ certificatePath: at('tls.pem'), tokenPath: at('token') },
    clientCaPath: more.clientCa === undefined ? undefined : at('client-ca'),
  });
  const { done } = await door.start(stop.signal);
  return {
    ...{ log, door, clock },
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
