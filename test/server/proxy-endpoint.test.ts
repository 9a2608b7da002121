import { expect, test } from 'bun:test';
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { forward } from '../../src/proxy/forward.ts';
import { httpServer } from '../../src/server/doors.ts';
import { localAuth } from '../../src/server/local-auth.ts';
import { memoryLog } from '../support/memory-log.ts';
import { NO_KEPT_SOCKETS } from '../support/no-kept-sockets.ts';
import { testProxy } from '../support/proxy-deps.ts';
import { okAnswer, type RawConnection, rawUpstream } from '../support/raw-upstream.ts';
import { NO_SOURCES } from '../support/server-sources.ts';
import { tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { waitUntil } from '../vm/wait-until.ts';

/** The agent's plain doors before an API server that answers so. */
async function doors(onData: (connection: RawConnection, bytes: string) => void) {
  const upstream = await rawUpstream(onData);
  const proxy = testProxy(upstream.address);
  const directory = await tempDirectory();
  const files = systemFiles('/');
  const tokenPath = join(directory.path, 'local-token');
  const auth = await localAuth({ random: systemRandom, files }, tokenPath);
  const log = memoryLog();
  const server = httpServer(
    {
      log,
      files,
      clock: systemClock,
      kept: NO_KEPT_SOCKETS,
      sources: {
        ...NO_SOURCES,
        auth,
        tokenFile: tokenPath,
        proxy: { forward: (request, sink) => forward(proxy.deps, request, sink) },
      },
    },
    { port: 0, socketPath: join(directory.path, 'agent.sock') },
  );
  const stop = new AbortController();
  const { done } = await server.start(stop.signal);
  const token = (await Bun.file(tokenPath).text()).trim();
  return {
    upstream,
    proxy,
    tokenPath,
    files,
    done,
    stop: () => stop.abort(),
    url: (path: string) => `http://127.0.0.1:${server.port()}${path}`,
    unix: join(directory.path, 'agent.sock'),
    authorized: { authorization: `Bearer ${token}` },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
      proxy[Symbol.dispose]();
      await upstream[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('loopback asks for the token, the socket does not', async () => {
  await using agent = await doors(({ socket }) => socket.write(okAnswer('fine')));
  const path = '/proxy/api/v1/pods?limit=1';
  expect((await fetch(agent.url(path))).status).toBe(401);
  expect((await fetch(agent.url(path), { headers: { authorization: 'Bearer x' } })).status).toBe(
    401,
  );
  const answer = await fetch(agent.url(path), { headers: agent.authorized });
  expect([answer.status, await answer.text()]).toEqual([200, 'fine']);
  expect(await (await fetch(`http://agent${path}`, { unix: agent.unix })).text()).toBe('fine');
  const seen = agent.upstream.received.join('');
  expect(seen.match(/GET \/api\/v1\/pods\?limit=1 HTTP/g)).toHaveLength(2);
  expect(seen).not.toContain(agent.authorized.authorization);
  expect((await agent.files.stat(agent.tokenPath))?.mode).toBe(0o640);
});

test('a HEAD, an answer without a body, and an upgrade', async () => {
  await using agent = await doors(({ socket }, bytes) =>
    socket.write(
      bytes.startsWith('HEAD')
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
        : 'HTTP/1.1 204 No Content\r\n\r\n',
    ),
  );
  const headers = agent.authorized;
  const head = await fetch(agent.url('/proxy/x'), { method: 'HEAD', headers });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '5']);
  const none = await fetch(agent.url('/proxy/x'), { method: 'DELETE', headers });
  expect([none.status, await none.text()]).toEqual([204, '']);
  const upgrade = { ...headers, connection: 'Upgrade', upgrade: 'SPDY/3.1' };
  expect((await fetch(agent.url('/proxy/x'), { headers: upgrade })).status).toBe(421);
  const unknown = { ...headers, connection: 'Upgrade', upgrade: 'h2c', origin: 'http://localhost' };
  expect((await fetch(agent.url('/proxy/x'), { headers: unknown })).status).not.toBe(421);
});

test('events of a watch come one by one, and going away ends it', async () => {
  let send: (text: string) => void = () => undefined;
  await using agent = await doors(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    send = (text) => socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
    send('one'); // Bun.serve sends the head of an answer with its first bytes.
  });
  const gone = new AbortController();
  const answer = await fetch(agent.url('/proxy/api/v1/pods?watch=true'), {
    headers: agent.authorized,
    signal: gone.signal,
  });
  const reader = answer.body?.getReader();
  for (const event of ['one', 'two']) {
    if (event !== 'one') {
      send(event);
    }
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(event);
  }
  gone.abort();
  await until('the API server is left', () => agent.upstream.open() === 0);
});

test('the stop of the server ends a watch', async () => {
  await using agent = await doors(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
  });
  const answer = await fetch(agent.url('/proxy/api/v1/pods?watch=true'), {
    headers: agent.authorized,
  });
  agent.stop();
  expect(await answer.text()).toBe('one');
  await agent.done;
});

test('a large upload and a large download arrive whole', async () => {
  const size = 8 * 1024 * 1024;
  let got = 0;
  await using agent = await doors(({ socket }, bytes) => {
    got += bytes.length;
    if (bytes.startsWith('GET')) {
      socket.write(okAnswer('y'.repeat(size)));
    } else if (got > size) {
      got = 0;
      socket.write(okAnswer('taken'));
    }
  });
  const headers = agent.authorized;
  const body = 'x'.repeat(size);
  const upload = await fetch(agent.url('/proxy/up'), { method: 'POST', headers, body });
  expect(await upload.text()).toBe('taken');
  const download = await (await fetch(agent.url('/proxy/down'), { headers })).text();
  expect(download === 'y'.repeat(size)).toBe(true);
});

test('an answer that Kubernetes breaks off is broken off for the caller, too', async () => {
  await using agent = await doors(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    setImmediate(() => socket.destroy());
  });
  const answer = await fetch(agent.url('/proxy/api'), { headers: agent.authorized });
  await expect(answer.text()).rejects.toThrow();
});

test('who reads slowly makes Kubernetes wait', async () => {
  const piece = 'z'.repeat(64 * 1024);
  let sent = 0;
  let blocked = false;
  await using agent = await doors(({ socket }) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${piece.length * 4_096}\r\n\r\n`);
    const more = () => {
      while (sent < 4_096) {
        sent += 1;
        if (!socket.write(piece)) {
          blocked = true;
          socket.once('drain', () => {
            blocked = false;
            more();
          });
          return;
        }
      }
    };
    more();
  });
  const { port } = new URL(agent.url('/'));
  const socket = connect(Number(port), '127.0.0.1');
  socket.pause();
  const { authorization } = agent.authorized;
  socket.write(
    `GET /proxy/x HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${authorization}\r\n\r\n`,
  );
  let before = -1;
  await waitUntil('Kubernetes waits', 10_000, async () => {
    const stands = blocked && before === sent;
    before = sent;
    return stands;
  });
  expect(sent).toBeLessThan(2_048);
  socket.resume();
  await waitUntil('all has been sent', 20_000, async () => sent === 4_096);
  socket.destroy();
});
