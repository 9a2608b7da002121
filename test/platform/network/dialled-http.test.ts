import { describe, expect, test } from 'bun:test';
import { createServer, type Socket } from 'node:net';
import { AgentError } from '../../../src/core/errors.ts';
import { dialledHttp } from '../../../src/platform/network/dialled-http.ts';

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
    expect(await outcomeOf(withStatus(status), 'wait')).toBe('CONTROL_PLANE_ERROR');
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
