import { describe, expect, test } from 'bun:test';
import { createServer, type Socket } from 'node:net';
import { AgentError } from '../../../src/core/errors.ts';
import { dialledHttp } from '../../../src/platform/network/dialled-http.ts';
import { atRest, until } from '../../support/until.ts';

const COST_FACTOR_MAX = 5;

const NO_PROXY = { url: '', credentials: '', noProxy: '' };
/** Longer than any of these answers takes on a busy machine. */
const TIMEOUT_MS = 10_000;

/** What a call comes to, of a server that says these bytes and then closes, or waits. */
async function outcomeOf(answer: string, then: 'close' | 'wait' = 'close'): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => (then === 'close' ? socket.end(answer) : socket.write(answer)));
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = dialledHttp({ ca: undefined, proxy: NO_PROXY });
  try {
    const url = `http://127.0.0.1:${port}/x`;
    const response = await client.http(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return `${response.status} ${await response.text()}`;
  } catch (thrown) {
    return thrown instanceof AgentError ? thrown.code : 'an error';
  } finally {
    client.close();
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  }
}

const withStatus = (status: string, more = '') =>
  `HTTP/1.1 ${status}\r\nContent-Length: 2\r\n${more}\r\nhi`;

describe('whatever a server answers is an answer or an error of its call', () => {
  test.each(['000 X', '099 X', '600 X', '777 X', '999 X'])('status %s', async (status) => {
    expect(await outcomeOf(withStatus(status), 'wait')).toBe('an error');
  });

  test.each(['99 X', '1000 X', '-1 X', 'OK', '2e2 X', ''])('status %s', async (status) => {
    expect(await outcomeOf(withStatus(status))).toBe('an error');
  });

  test.each([
    ['an upgrade', 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc', 'wait'],
    ['a bare 101', 'HTTP/1.1 101 X\r\n\r\n', 'close'],
  ] as const)('%s that nobody asked for', async (_, answer, then) => {
    expect(await outcomeOf(answer, then)).toBe('CONTROL_PLANE_ERROR');
  });

  test.each([
    ['news before it', `HTTP/1.1 103 X\r\nLink: x\r\n\r\n${withStatus('200 OK')}`, '200 hi'],
    ['no reason', withStatus('200'), '200 hi'],
    ['a reason that is no ASCII', withStatus('200 \u010d'), '200 hi'],
    ['no body where the head says one', withStatus('204 X'), '204 '],
    ['the same for 205', withStatus('205 X'), '205 '],
    ['the same for 304', withStatus('304 X'), '304 '],
    ['names of every object', withStatus('200 X', '__proto__: a\r\nconstructor: b\r\n'), '200 hi'],
    ['bytes of UTF-8', withStatus('200 X', 'X: \u010d\u{1f4a5}\r\n'), '200 hi'],
  ])('%s', async (_, answer, expected) => {
    expect(await outcomeOf(answer)).toBe(expected);
  });

  test.each([
    ['NUL in a value', withStatus('200 X', 'X: a\0b\r\n')],
    ['a name that is no token', withStatus('200 X', 'X Y: a\r\n')],
    ['an empty name', withStatus('200 X', ': a\r\n')],
    ['two lengths', withStatus('200 X', 'Content-Length: 3\r\n')],
    ['a broken chunk', 'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['another protocol', '\x16\x03\x01\x02\0garbage\r\n\r\n'],
    ['a head without an end', `HTTP/1.1 200 X\r\nX: ${'a'.repeat(300_000)}`],
    ['a page without a head', '<html>hello</html>'],
    ['news without an answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['nothing', ''],
  ])('%s', async (_, answer) => {
    expect(await outcomeOf(answer)).toBe('an error');
  });
});

/** Of this process, which is server and client here. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

test('a download costs little more than one by fetch', async () => {
  const sizeBytes = 64 * 1024 * 1024;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response(new Uint8Array(sizeBytes)),
  });
  const url = `http://127.0.0.1:${server.port}/`;
  const client = dialledHttp({ ca: undefined, proxy: NO_PROXY });
  const costMs = async ({ body }: { readonly body: AsyncIterable<Uint8Array> | null }) => {
    const before = processorMs();
    let received = 0;
    for await (const piece of body ?? []) {
      received += piece.length;
    }
    expect(received).toBe(sizeBytes);
    return processorMs() - before;
  };
  const peerMs = await costMs(await fetch(url));
  // Copied byte by byte it was ten times as much.
  expect(await costMs(await client.http(url))).toBeLessThan(COST_FACTOR_MAX * peerMs);
  client.close();
  await server.stop(true);
});

/** Answers each request with what it was, on connections that stay open. */
async function startEcho() {
  const open = new Set<Bun.Socket<{ text: string }>>();
  let connections = 0;
  let atOnce = 0;
  let most = 0;
  const held: (() => void)[] = [];
  const state = { holds: false };
  const server = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { text: '' };
        connections += 1;
        open.add(socket);
      },
      close: (socket) => void open.delete(socket),
      data: (socket, bytes) => {
        socket.data.text += bytes.toString('latin1');
        const { text } = socket.data;
        const isWhole = /chunked/i.test(text)
          ? text.endsWith('\r\n0\r\n\r\n')
          : text.length ===
            text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (!isWhole) {
          return;
        }
        socket.data.text = '';
        atOnce += 1;
        most = Math.max(most, atOnce);
        const answer = () => {
          atOnce -= 1;
          const head = `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`;
          socket.write(Buffer.from(head + text, 'latin1'));
        };
        state.holds ? held.push(answer) : answer();
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    state,
    connections: () => connections,
    most: () => most,
    heldCalls: () => held.length,
    release: () => {
      state.holds = false;
      for (const answer of held.splice(0)) {
        answer();
      }
    },
    /** As a load balancer does with what is idle. */
    closeAll: () => {
      for (const socket of [...open]) {
        socket.end();
      }
    },
    isEmpty: () => open.size === 0,
    [Symbol.dispose]: () => server.stop(true),
  };
}

describe('kept connections', () => {
  const direct = { ca: undefined, proxy: NO_PROXY };

  test('carry one call after the other, byte for byte as it was asked', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    const host = echo.url.slice('http://'.length);
    const text = async (path: string, init = {}) =>
      await (await client.http(echo.url + path, init)).text();
    expect(await text('/a%2Fb/?q=1', { headers: { 'X-One': 'y' } })).toBe(
      `GET /a%2Fb/?q=1 HTTP/1.1\r\nHost: ${host}\r\nx-one: y\r\n\r\n`,
    );
    expect(await text('/b', { method: 'POST', body: 'héllo' })).toBe(
      `POST /b HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 6\r\n\r\nhéllo`,
    );
    expect(await text('/b', { method: 'POST', body: Uint8Array.of(104, 195, 169) })).toBe(
      `POST /b HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\n\r\nhé`,
    );
    await expect(text('/b', { method: 'POST', body: new FormData() })).rejects.toThrow('texts');
    expect(await text('/c', { method: 'DELETE' })).toBe(
      `DELETE /c HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`,
    );
    const body = new ReadableStream({
      start: (controller) => {
        for (const piece of ['one', '', 'two']) {
          controller.enqueue(Buffer.from(piece));
        }
        controller.close();
      },
    });
    expect(await text('/d', { method: 'POST', body })).toBe(
      `POST /d HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n` +
        '3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n',
    );
    expect(echo.connections()).toBe(1);
    client.close();
    await until('the connections are gone', echo.isEmpty);
  });

  test('are eight at most; more calls wait, and one that is given up takes no place', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    echo.state.holds = true;
    const calls = Array.from({ length: 8 }, () => client.http(echo.url));
    await until('eight calls are under way', () => echo.heldCalls() === 8);
    const abort = new AbortController();
    const givenUp = client.http(echo.url, { signal: abort.signal });
    const later = Array.from({ length: 8 }, () => client.http(echo.url));
    abort.abort(new Error('given up'));
    await expect(givenUp).rejects.toThrow('given up');
    echo.release();
    for (const call of [...calls, ...later]) {
      expect((await call).status).toBe(200);
      await (await call).text();
    }
    expect({ connections: echo.connections(), most: echo.most() }).toEqual({
      connections: 8,
      most: 8,
    });
    client.close();
  });

  test('are all given up when they are closed, however many calls wait for them', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    echo.state.holds = true;
    const calls = Array.from({ length: 30 }, () => client.http(echo.url).catch(() => 'given up'));
    await until('eight calls are under way', () => echo.heldCalls() === 8);
    client.close();
    expect(await Promise.all(calls)).toEqual(calls.map(() => 'given up'));
  });

  test('have a limit for the calls that wait for them: one more is refused at once', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    echo.state.holds = true;
    const told = () => client.http(echo.url).catch((thrown: Error) => thrown.message);
    const calls = Array.from({ length: 8 + 1_000 }, told);
    await until('eight calls are under way', () => echo.heldCalls() === 8);
    expect(await told()).toBe('1000 calls wait for it already');
    client.close();
    await Promise.all(calls);
  });

  test('carry nothing for a call that is given up as soon as it was made', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    await (await client.http(echo.url)).text();
    echo.state.holds = true;
    const abort = new AbortController();
    const call = client.http(echo.url, { signal: abort.signal });
    abort.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
    client.close();
  });

  test('end with a call that is answered before it is whole, and so does what it sends', async () => {
    const answer = 'HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n';
    let connections = 0;
    const sockets = new Set<Socket>();
    // Reads no further than the beginning of a request.
    const server = createServer((socket) => {
      connections += 1;
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => socket.pause().write(answer));
    });
    const listening = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', listening.resolve);
    await listening.promise;
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = dialledHttp(direct);
    let isCancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)),
      cancel: () => {
        isCancelled = true;
      },
    });
    for (const body of ['x'.repeat(64 * 1024 * 1024), endless, undefined]) {
      const init = { method: 'POST', signal: AbortSignal.timeout(TIMEOUT_MS) };
      const url = `http://127.0.0.1:${port}/`;
      const { status } = await client.http(url, body === undefined ? init : { ...init, body });
      expect(status).toBe(413);
    }
    await until('nothing more is read of the endless body', () => isCancelled);
    expect(connections).toBe(3);
    client.close();
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  });

  test('that the server has closed meanwhile are not used again', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    await (await client.http(echo.url)).text();
    echo.closeAll();
    await until('the connections are gone', echo.isEmpty);
    // A call that comes before the news of the end is lost with its connection, and no other one is.
    await until('a call is answered', async () => (await client.http(echo.url)).ok);
    expect(echo.connections()).toBe(2);
    client.close();
  });

  test('end with a call that is given up, before its answer and within it', async () => {
    using echo = await startEcho();
    const client = dialledHttp(direct);
    echo.state.holds = true;
    const abort = new AbortController();
    const call = client.http(echo.url, { signal: abort.signal });
    await until('the call is under way', () => echo.heldCalls() === 1);
    abort.abort(new Error('given up'));
    await expect(call).rejects.toThrow('given up');
    await until('the connections are gone', echo.isEmpty);
    echo.release();
    const half = await client.http(echo.url, { method: 'POST', body: 'x'.repeat(2_000_000) });
    await half.body?.cancel();
    await until('the connections are gone', echo.isEmpty);
    client.close();
  });
});

test('a body that ends too early is an error for its reader', async () => {
  expect(await outcomeOf('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi')).toBe('an error');
});

test('a slow reader makes the server wait', async () => {
  const MIB = 1024 * 1024;
  let taken = 0;
  const piece = Buffer.alloc(MIB);
  const send = (socket: Bun.Socket) => {
    while (taken < 64 * MIB) {
      const count = Math.max(socket.write(piece.subarray(taken % MIB)), 0);
      taken += count;
      if (count === 0) {
        return;
      }
    }
  };
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
        send(socket);
      },
      drain: send,
    },
  });
  const client = dialledHttp({ ca: undefined, proxy: NO_PROXY });
  const { body } = await client.http(`http://127.0.0.1:${server.port}/`);
  await atRest(() => taken);
  expect(taken).toBeLessThan(32 * MIB); // What the system holds for both sides, and little more.
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
  }
  expect(bytes).toBe(64 * MIB);
  client.close();
  server.stop(true);
});
