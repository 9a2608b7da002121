/** A long life in a short time: many requests of all kinds through each door, and readers that stop. */
import { expect, test } from 'bun:test';
import { atRest, until } from '../support/until.ts';
import {
  ECHO_PATH,
  ENDLESS_PATH,
  LARGE_BYTES,
  LARGE_PATH,
  SMALL_PATH,
  UPLOAD_PATH,
  WATCH_PATH,
} from './fast-cluster.ts';
import { type Door, startProxyDaemon } from './proxy-daemon.ts';

/** 10 for the long run: 10^6 requests and 10^4 upgraded connections; 1: 10^5 and 300. */
const SCALE = Number(process.env['SOAK_SCALE'] ?? 1);
const ROUNDS = 10;
/** The first rounds fill pools and caches, and compile. */
const WARM_ROUNDS = 4;
const WORKERS = 16;
const TIMEOUT_MS = 170_000 * SCALE;
const MIB = 1024 * 1024;
/** Between the lowest of the rounds after the warm ones and that of the last ones. */
const RSS_GROWTH_BYTES_MAX = 8 * MIB;
const UPLOAD = Buffer.alloc(256 * 1024, 'u');
const READERS = 32;
/** Window of the session 1 MiB, buffer of the plain door 256 KiB, one read of the runtime. */
const STALLED_READER_BYTES_MAX = 1.5 * MIB;

type Work = (door: Door) => Promise<void>;

/** How many of each a round has, over all doors. */
const ROUND: readonly (readonly [number, Work])[] = [
  [9_300, small],
  [100, large],
  [300, watch],
  [300, upload],
  [SCALE > 1 ? 150 : 45, upgrade], // A third of them at the plain door, which has none.
];

async function small(door: Door): Promise<void> {
  expect((await (await door.fetch(SMALL_PATH)).arrayBuffer()).byteLength).toBe(1_024);
}

async function large(door: Door): Promise<void> {
  expect((await (await door.fetch(LARGE_PATH)).arrayBuffer()).byteLength).toBe(LARGE_BYTES);
}

/** Opened, seen, and ended by the reader. */
async function watch(door: Door): Promise<void> {
  const gone = new AbortController();
  const answer = await door.fetch(WATCH_PATH, { signal: gone.signal });
  const { value } = (await answer.body?.getReader().read()) ?? {};
  expect(value?.length).toBeGreaterThan(0);
  gone.abort();
}

async function upload(door: Door): Promise<void> {
  const answer = await door.fetch(UPLOAD_PATH, { method: 'POST', body: UPLOAD });
  expect(await answer.text()).toBe(String(UPLOAD.length));
}

/** The plain door has no upgrades: it sends those who want one to the TLS door. */
async function upgrade(door: Door): Promise<void> {
  if (door.name === 'plain door') {
    return;
  }
  const socket = await door.connect(`GET ${ECHO_PATH}`, [
    'Connection: Upgrade',
    'Upgrade: SPDY/3.1',
  ]);
  let heard = '';
  await new Promise<void>((resolve, reject) => {
    socket.on('close', () => reject(new Error(`closed after: ${heard}`)));
    socket.on('data', (bytes: Buffer) => {
      if (heard === '') {
        socket.write('to be said again');
      }
      heard += bytes.toString();
      if (heard.endsWith('again')) {
        resolve();
      }
    });
  });
  socket.destroy();
}

async function runRound(doors: readonly Door[]): Promise<void> {
  const works: [Work, Door][] = ROUND.flatMap(([count, work]) =>
    Array.from({ length: count * SCALE }, (_, index): [Work, Door] => [
      work,
      doors[index % doors.length] as Door, // The index is within.
    ]),
  );
  let next = 0;
  const worker = async () => {
    while (next < works.length) {
      // By a step that has no common factor with the length, so that kinds mix.
      const [work, door] = works[(next++ * 7_919) % works.length] as [Work, Door];
      await work(door);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

async function times(count: number, work: () => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    await work();
  }
}

test(
  `${100_000 * SCALE} requests leave nothing behind`,
  async () => {
    await using daemon = await startProxyDaemon();
    const rss: number[] = [];
    const descriptors: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await runRound(daemon.doors);
      await until('what was left open is gone', () => daemon.cluster.open() === 0);
      rss.push(await daemon.rssBytes());
      descriptors.push(await daemon.openDescriptors());
    }
    console.log({ rssMib: rss.map((bytes) => Math.round(bytes / MIB)), descriptors });
    const half = (ROUNDS - WARM_ROUNDS) / 2;
    const early = (values: readonly number[]) => values.slice(WARM_ROUNDS, WARM_ROUNDS + half);
    const late = (values: readonly number[]) => values.slice(-half);
    // What is kept shows in the lowest values; the highest say what the allocator has not given back yet.
    expect(Math.min(...late(rss)) - Math.min(...early(rss))).toBeLessThan(RSS_GROWTH_BYTES_MAX);
    // Idle connections come and go; what leaks stays in every later round.
    expect(Math.min(...late(descriptors))).toBeLessThanOrEqual(Math.max(...early(descriptors)));
  },
  TIMEOUT_MS,
);

test.each(['plain door', 'TLS door', 'session'])(
  'readers that stop at the %s cost no more than their windows',
  async (name) => {
    await using daemon = await startProxyDaemon();
    const door = daemon.doors.find((each) => each.name === name) as Door; // One of the three.
    // As much at once as below: what the runtime itself keeps for that is there before.
    await Promise.all(Array.from({ length: READERS }, () => times(4, () => large(door))));
    const before = await daemon.rssBytes();
    const readers = await Promise.all(
      Array.from({ length: READERS }, async () => {
        const socket = await door.connect(`GET ${ENDLESS_PATH}`);
        socket.pause();
        return socket;
      }),
    );
    await until('all are answered', () => daemon.cluster.open() === READERS);
    await atRest(() => daemon.cluster.endlessBytes());
    const grown = (await daemon.rssBytes()) - before;
    console.log({ door: name, mibEach: (grown / READERS / MIB).toFixed(2) });
    expect(grown).toBeLessThan(READERS * STALLED_READER_BYTES_MAX);
    await small(door); // Others are served meanwhile.
    for (const reader of readers) {
      reader.destroy();
    }
    await until('those that left are gone', () => daemon.cluster.open() === 0);
  },
  TIMEOUT_MS,
);
