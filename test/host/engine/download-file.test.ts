import { expect, test } from 'bun:test';
import { createServer, type Socket } from 'node:net';
import { downloadFile } from '../../../src/host/engine/download-file.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { systemNetwork } from '../../../src/platform/network/open.ts';
import { failureOf } from '../../support/failure-of.ts';
import { scaledClock } from '../../support/scaled-clock.ts';
import { tempDirectory } from '../../support/temp-dir.ts';
import { until } from '../../support/until.ts';

const NO_PROXY = { url: '', credentials: '', noProxy: '' };
const PATH = '/downloads/k3s';
const LIMIT_BYTES = 4_000_000;
/** Pauses between tries are short; nothing is idle for too long, even on a busy machine. */
const TIMES_FASTER = 20;
/** Here what is idle shall be left soon. */
const TIMES_FASTER_WHERE_IDLE = 200;

const content = (seed: number) => Buffer.alloc(300_000, `content ${seed} `);
const FILE = content(1);
const sha256 = (bytes: Uint8Array) => new Bun.CryptoHasher('sha256').update(bytes).digest('hex');

interface Served {
  readonly bytes: Uint8Array;
  readonly etag?: string;
  /** The connection ends after so many bytes of a body, so many times. */
  readonly breaksAfter?: number;
  readonly breaks?: number;
  readonly ignoresRange?: boolean;
  readonly ignoresIfRange?: boolean;
  /** Says nothing more after so many bytes of the body, and keeps the connection. */
  readonly silentAfter?: number;
  readonly status?: number;
  readonly hidesLength?: boolean;
}

/** A web server of one file that breaks as it is told; fetched through the ports of life. */
async function serve(first: Served) {
  let served = first;
  let broken = 0;
  const ranges: string[] = [];
  const sockets = new Set<Socket>();
  const answer = (socket: Socket, head: string) => {
    const { bytes, etag, status } = served;
    const asked = /^range: bytes=(\d+)-\r$/im.exec(head)?.[1];
    const ifRange = /^if-range: (.*)\r$/im.exec(head)?.[1];
    ranges.push(asked ?? 'all');
    const isSame = served.ignoresIfRange === true || ifRange === etag;
    const isRest = asked !== undefined && served.ignoresRange !== true && isSame;
    const from = isRest ? Number(asked) : 0;
    const body = bytes.subarray(from);
    const code = status ?? (isRest ? 206 : 200);
    const headers = [
      `HTTP/1.1 ${code} .`,
      'connection: close',
      ...(served.hidesLength === true ? [] : [`content-length: ${body.length}`]),
      ...(etag === undefined ? [] : [`etag: ${etag}`]),
      ...(isRest ? [`content-range: bytes ${from}-${bytes.length - 1}/${bytes.length}`] : []),
    ];
    socket.write(`${headers.join('\r\n')}\r\n\r\n`);
    if (served.silentAfter !== undefined) {
      socket.write(body.subarray(0, served.silentAfter));
      return;
    }
    const isBreaking = served.breaksAfter !== undefined && broken < (served.breaks ?? 1);
    broken += 1;
    socket.end(isBreaking ? body.subarray(0, served.breaksAfter) : body);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    let head = '';
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      head += data.toString('latin1');
      if (head.endsWith('\r\n\r\n')) {
        answer(socket, head);
      }
    });
  });
  const breakOff = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/k3s`,
    ranges,
    becomes: (next: Served) => {
      served = next;
      broken = 0;
    },
    breakOff,
    [Symbol.asyncDispose]: async () => {
      breakOff();
      server.close();
    },
  };
}

async function downloader(timesFaster = TIMES_FASTER) {
  const directory = await tempDirectory();
  const files = systemFiles(directory.path);
  const network = systemNetwork({ ca: undefined, proxy: NO_PROXY });
  const clock = scaledClock(timesFaster);
  return {
    files,
    partSize: async () => (await files.stat(`${PATH}.part`))?.size ?? 0,
    get: (urls: readonly string[], options: { sha256?: string; signal?: AbortSignal } = {}) =>
      downloadFile(
        { clock, files, http: network.http },
        { urls, sha256: options.sha256 ?? sha256(FILE), limitBytes: LIMIT_BYTES, path: PATH },
        () => undefined,
        options.signal ?? new AbortController().signal,
      ),
    /** What is there afterwards: the file's hash, and whatever else. */
    found: async () => ({
      sha256: sha256((await files.readBytes(PATH, LIMIT_BYTES)) ?? new Uint8Array()),
      names: await files.list('/downloads'),
    }),
    [Symbol.asyncDispose]: async () => {
      network.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const WHOLE = { sha256: sha256(FILE), names: ['k3s'] };

test('a file is put into its place, and not asked for again', async () => {
  await using server = await serve({ bytes: FILE });
  await using download = await downloader();
  await download.get([server.url]);
  await download.get([server.url]);
  expect([await download.found(), server.ranges]).toEqual([WHOLE, ['all']]);
});

test('what broke off goes on where it ended', async () => {
  await using server = await serve({ bytes: FILE, etag: '"1"', silentAfter: 100_000 });
  await using download = await downloader();
  const done = download.get([server.url]);
  await until('a part came', async () => (await download.partSize()) === 100_000);
  server.breakOff();
  await until('another part came', async () => (await download.partSize()) === 200_000);
  server.becomes({ bytes: FILE, etag: '"1"' });
  server.breakOff();
  await done;
  expect([await download.found(), server.ranges]).toEqual([WHOLE, ['all', '100000', '200000']]);
});

test('the next run goes on where the one before ended', async () => {
  await using server = await serve({ bytes: FILE, etag: '"1"', silentAfter: 100_000 });
  await using download = await downloader();
  const stopping = new AbortController();
  const stopped = failureOf(() => download.get([server.url], { signal: stopping.signal }));
  await until('a part came', async () => (await download.partSize()) === 100_000);
  stopping.abort();
  expect(await stopped).toMatchObject({ code: 'INTERRUPTED' });
  server.becomes({ bytes: FILE, etag: '"1"' });
  await download.get([server.url]);
  expect(await download.found()).toEqual(WHOLE);
  expect(server.ranges).toEqual(['all', '100000']);
});

test('a file that was changed meanwhile starts again', async () => {
  await using server = await serve({ bytes: content(2), etag: '"1"', silentAfter: 100_000 });
  await using download = await downloader();
  const stopping = new AbortController();
  const stopped = failureOf(() => download.get([server.url], { signal: stopping.signal }));
  await until('a part came', async () => (await download.partSize()) === 100_000);
  stopping.abort();
  await stopped;
  server.becomes({ bytes: FILE, etag: '"2"' });
  await download.get([server.url]);
  expect(await download.found()).toEqual(WHOLE);
});

test.each<[string, Omit<Served, 'bytes'>]>([
  ['knows no ranges', { etag: '"1"', ignoresRange: true }],
  ['has no validators', {}],
  ['has only a weak validator', { etag: 'W/"1"' }],
])('what broke off starts again at a place that %s', async (_, how) => {
  await using server = await serve({ bytes: FILE, ...how, breaksAfter: 100_000, breaks: 1 });
  await using download = await downloader();
  await download.get([server.url]);
  expect(await download.found()).toEqual(WHOLE);
});

test('a rest that does not fit is thrown away, and the file fetched as a whole', async () => {
  await using server = await serve({ bytes: FILE, ignoresIfRange: true, etag: '"9"' });
  await using download = await downloader();
  // The place sends the rest of another file although it was asked for the same one.
  const path = `${PATH}.part`;
  await download.files.makeDirectory('/downloads', { mode: 0o700 });
  await download.files.writeAtomic(path, content(2).subarray(0, 100_000), { mode: 0o600 });
  await download.files.writeAtomic(
    `${path}.json`,
    JSON.stringify({ url: server.url, validator: '"1"' }),
    { mode: 0o600 },
  );
  await download.get([server.url]);
  expect([await download.found(), server.ranges]).toEqual([WHOLE, ['100000', 'all']]);
});

test('the next place is asked where one has no such file, another one, or nobody answers', async () => {
  await using missing = await serve({ bytes: FILE, status: 404 });
  await using other = await serve({ bytes: content(2) });
  await using right = await serve({ bytes: FILE });
  await using download = await downloader();
  await download.get(['http://127.0.0.1:1/k3s', missing.url, other.url, right.url]);
  expect(await download.found()).toEqual(WHOLE);
  expect([missing.ranges, other.ranges, right.ranges]).toEqual([['all'], ['all'], ['all']]);
});

test('where no place has it, each is named', async () => {
  await using missing = await serve({ bytes: FILE, status: 404 });
  await using other = await serve({ bytes: content(2) });
  await using download = await downloader();
  const failure = await failureOf(() => download.get([missing.url, other.url]));
  expect(failure).toMatchObject({
    code: 'DOWNLOAD_CORRUPT',
    message:
      `Cannot fetch ${missing.url}: it answers 404; ` +
      `The SHA-256 of ${other.url} is not the published one`,
  });
  expect((await download.found()).names).toEqual([]);
});

test.each([false, true])(
  'a file over the limit is refused, its length hidden: %s',
  async (hides) => {
    await using server = await serve({ bytes: Buffer.alloc(LIMIT_BYTES + 1), hidesLength: hides });
    await using download = await downloader();
    expect(await failureOf(() => download.get([server.url]))).toMatchObject({
      code: 'DOWNLOAD_CORRUPT',
      message: `What ${server.url} sends is over ${LIMIT_BYTES} bytes`,
    });
  },
);

test('a place that goes silent is left', async () => {
  await using silent = await serve({ bytes: FILE, silentAfter: 0 });
  await using right = await serve({ bytes: FILE });
  await using download = await downloader(TIMES_FASTER_WHERE_IDLE);
  await download.get([silent.url, right.url]);
  expect([await download.found(), silent.ranges]).toEqual([WHOLE, ['all', 'all', 'all']]);
});
