import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import type { WebSocketEnd } from '../../../src/core/ports.ts';
import { systemNetwork } from '../../../src/platform/network/open.ts';
import { atRest } from '../../support/until.ts';

const NO_PROXY = { url: '', credentials: '', noProxy: '' };
const NOTHING = { opened: () => undefined, message: () => undefined, heard: () => undefined };

interface RawServer extends AsyncDisposable {
  readonly url: string;
}

/** A server that speaks bytes. @param onRequest gets the head of each request */
async function rawServer(onRequest: (socket: Socket, head: string) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let head = '';
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const isHead = !head.includes('\r\n\r\n');
      head += data.toString('latin1');
      if (isHead && head.includes('\r\n\r\n')) {
        onRequest(socket, head);
      }
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `ws://127.0.0.1:${port}/a/b?c=%2F`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

/** Dials and tells everything that happened, once it is over. */
async function dialToTheEnd(
  url: string,
  onOpen: (connection: ReturnType<ReturnType<typeof systemNetwork>['dial']>) => void = () =>
    undefined,
) {
  const network = systemNetwork({ ca: undefined, proxy: NO_PROXY });
  const events: unknown[] = [];
  const over = Promise.withResolvers<WebSocketEnd>();
  const options = {
    headers: { 'X-Cluster': 'one' },
    messageLimitBytes: 1_000,
    protocols: ['v5', 'v4'],
  };
  const connection = network.dial(url, options, {
    opened: (protocol) => {
      events.push(['opened', protocol]);
      onOpen(connection);
    },
    message: (data) => events.push(['message', data]),
    heard: (mark) => events.push(['heard', mark]),
    closed: over.resolve,
  });
  const end = await over.promise;
  network.close();
  return { events, end };
}

function accept(head: string, more = ''): string {
  const key = /sec-websocket-key: (.*)\r\n/i.exec(head)?.[1] ?? '';
  const proof = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return (
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${proof}\r\n${more}\r\n`
  );
}

describe('the upgrade', () => {
  test('asks as RFC 6455 wants it, and takes what comes in the same bytes as the answer', async () => {
    let asked = '';
    await using server = await rawServer((socket, head) => {
      asked = head;
      const frames = '\x81\x02hi\x88\x02\x03\xe8';
      socket.end(
        Buffer.from(`${accept(head, 'Sec-WebSocket-Protocol: v4\r\n')}${frames}`, 'latin1'),
      );
    });
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [
        ['opened', 'v4'],
        ['message', 'hi'],
      ],
      end: { code: 1000, reason: '' },
    });
    expect(asked.replace(/Key: \S{24}\r/, 'Key: KEY\r').split('\r\n')).toEqual([
      'GET /a/b?c=%2F HTTP/1.1',
      `Host: ${new URL(server.url).host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: KEY',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: v5, v4',
      'X-Cluster: one',
      '',
      '',
    ]);
  });

  test('an answer that comes byte by byte', async () => {
    await using server = await rawServer((socket, head) => {
      const bytes = Buffer.from(`${accept(head)}\x88\x02\x03\xe8`, 'latin1');
      const sendFrom = (at: number) => {
        if (at < bytes.length) {
          socket.write(bytes.subarray(at, at + 1), () => sendFrom(at + 1));
        }
      };
      sendFrom(0);
    });
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [['opened', '']],
      end: { code: 1000, reason: '' },
    });
  });

  test('a refusal is told with its status and when to come again', async () => {
    await using server = await rawServer((socket) =>
      socket.end('HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy'),
    );
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [],
      end: {
        code: 1006,
        reason: 'the upgrade was answered 503',
        rejection: { status: 503, retryAfter: '7' },
      },
    });
  });

  test.each<[string, (head: string) => string]>([
    ['for somebody else', () => accept('')],
    [
      'with an extension nobody offered',
      (head) => accept(head, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'),
    ],
    ['to something else', (head) => accept(head).replace('Upgrade: websocket', 'Upgrade: h2c')],
    ['that is no HTTP', () => 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['without end', () => `HTTP/1.1 101 OK\r\nX: ${'x'.repeat(70_000)}`],
    ['with two proofs', (head) => accept(head, 'Sec-WebSocket-Accept: other\r\n')],
  ])('an answer %s is none', async (_, answer) => {
    await using server = await rawServer((socket, head) => {
      socket.write(answer(head));
    });
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [],
      end: {
        code: 1006,
        reason: expect.stringContaining('the answer to the upgrade cannot be read'),
      },
    });
  });

  test('a server that ends the connection instead of an answer', async () => {
    await using server = await rawServer((socket) => socket.end());
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [],
      end: { code: 1006, reason: '' },
    });
  });

  test('nobody there', async () => {
    expect(await dialToTheEnd('ws://127.0.0.1:1/')).toEqual({
      events: [],
      end: {
        code: 1006,
        reason: expect.any(String),
        unreachable: expect.objectContaining({ kind: 'other' }),
      },
    });
  });
});

describe('an open one', () => {
  test('text that is not UTF-8 closes it with 1007', async () => {
    await using server = await rawServer((socket, head) =>
      socket.write(Buffer.from(`${accept(head)}\x81\x02\xc3\x28`, 'latin1')),
    );
    expect(await dialToTheEnd(server.url)).toEqual({
      events: [['opened', '']],
      end: { code: 1007, reason: 'text that is not UTF-8' },
    });
  });

  test('a server that only resets it: abnormal', async () => {
    await using server = await rawServer((socket, head) =>
      socket.write(accept(head), () => socket.resetAndDestroy()),
    );
    const { end } = await dialToTheEnd(server.url);
    expect(end.code).toBe(1006);
  });

  test('a ping brings its mark back', async () => {
    await using server = await echoServer();
    const told = await dialToTheEnd(server.url, (connection) => {
      connection.ping('mark');
      connection.send('then close');
    });
    expect(told.events).toEqual([
      ['opened', 'v5'],
      ['heard', 'mark'],
      ['message', 'then close'],
    ]);
  });

  test('nothing of a large last message is lost by closing behind it', async () => {
    await using server = await echoServer();
    const message = new Uint8Array(3 * 1024 * 1024).fill(9);
    const { end } = await dialToTheEnd(server.url, (connection) => {
      connection.sendBinary([message]);
      connection.close(1000, 'done');
    });
    expect(end).toEqual({ code: 1000, reason: 'done' });
    expect(await server.received).toEqual([message.length, 1000, 'done']);
  });

  test('tells of the parts of a message that comes slowly, and reads nothing while it is paused', async () => {
    const parts: string[] = [];
    const halves = [Buffer.from([0x81, 6]), Buffer.from('abc'), Buffer.from('def')];
    await using server = await rawServer((socket, head) => {
      socket.write(accept(head));
      socket.on('data', () => socket.write(halves.shift() ?? ''));
    });
    const network = systemNetwork({ ca: undefined, proxy: NO_PROXY });
    const whole = Promise.withResolvers<void>();
    const ask = () => connection.ping();
    const connection = network.dial(
      server.url,
      { headers: {}, messageLimitBytes: 10 },
      {
        opened: ask,
        part: () => {
          parts.push('part');
          if (parts.length === 1) {
            connection.pause();
            ask(); // Its answer is not read …
            void atRest(() => parts.length).then(() => {
              parts.push('resumed');
              connection.resume(); // … before now.
            });
          } else {
            ask();
          }
        },
        message: (data) => {
          parts.push(String(data));
          whole.resolve();
        },
        heard: () => undefined,
        closed: () => whole.resolve(),
      },
    );
    await whole.promise;
    network.close();
    expect(parts).toEqual(['part', 'resumed', 'part', 'abcdef']);
  });

  test('a server that does not listen loses the socket at once', async () => {
    const gone = Promise.withResolvers<void>();
    await using server = await rawServer((socket, head) => {
      socket.on('close', () => gone.resolve());
      socket.write(accept(head));
      socket.pause();
    });
    const { end } = await dialToTheEnd(server.url, (connection) => connection.terminate());
    expect(end.code).toBe(1006);
    await gone.promise;
  });
});

/** Bun's server, as a peer: echoes text and closes then; tells the length of binary messages. */
async function echoServer() {
  const received = Promise.withResolvers<readonly [number, number, string]>();
  let bytes = 0;
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, self) =>
      self.upgrade(request) ? undefined : new Response('', { status: 400 }),
    websocket: {
      message: (socket, data) => {
        if (typeof data === 'string') {
          socket.send(data);
          socket.close(1000);
        } else {
          bytes += data.length;
        }
      },
      close: (_socket, code, reason) => received.resolve([bytes, code, reason]),
    },
  });
  return {
    url: `ws://127.0.0.1:${server.port}/`,
    received: received.promise,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

test('a page in place of an upgrade names who sends it', async () => {
  await using server = await rawServer((socket) =>
    socket.end(
      'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nServer: cloudflare\r\n\r\n<html>',
    ),
  );
  expect((await dialToTheEnd(server.url)).end.rejection).toEqual({
    status: 403,
    retryAfter: undefined,
    pageBy: 'Cloudflare',
  });
});

test.each([
  ['a host', `ws://${'a.'.repeat(150)}test/`, ''],
  ['a user', 'ws://a.test/', `${'u'.repeat(256)}:p`],
  ['a password', 'ws://a.test/', `u:${'p'.repeat(256)}`],
])('%s that is longer than SOCKS can say is not sent', async (_, url, credentials) => {
  const sent: number[] = [];
  await using server = await socksServer((bytes) => sent.push(...bytes));
  const proxy = { url: `socks5://127.0.0.1:${server.port}`, credentials, noProxy: '' };
  const network = systemNetwork({ ca: undefined, proxy });
  const over = Promise.withResolvers<WebSocketEnd>();
  network.dial(url, { headers: {}, messageLimitBytes: 1 }, { ...NOTHING, closed: over.resolve });
  expect(await over.promise).toMatchObject({ reason: expect.stringContaining('SOCKS takes 1 to') });
  network.close();
  expect(sent.length).toBeLessThan(8); // The greeting, and none of what follows.
});

/** Takes any method that is offered, and then hears what comes. */
async function socksServer(onBytes: (bytes: Buffer) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      onBytes(bytes);
      socket.write(Buffer.of(5, bytes[2] ?? 0));
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', listening.resolve);
  await listening.promise;
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      server.close();
    },
  };
}
