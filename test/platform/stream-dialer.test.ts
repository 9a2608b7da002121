import { describe, expect, test } from 'bun:test';
import type { WebSocketEnd } from '../../src/core/ports.ts';
import { systemNetwork } from '../../src/platform/network.ts';
import { makeCertificates } from '../support/tls.ts';

const NO_PROXY = { url: '', credentials: '', noProxy: '' };

/**
 * Dials a server whose certificate is for one name.
 * @returns how it ended, or that it is open, and how many requests the server saw
 */
async function dialSecurely(certificateFor: string, host: string, trust: 'its own' | 'another') {
  const { ca, cert, key } = await makeCertificates([certificateFor]);
  const trusted = trust === 'its own' ? ca : (await makeCertificates([certificateFor])).ca;
  let requests = 0;
  await using server = Bun.serve({
    port: 0,
    tls: { cert, key },
    fetch: (request, self) => {
      requests += 1;
      return self.upgrade(request) ? undefined : new Response('', { status: 400 });
    },
    websocket: { message: () => undefined },
  });
  const network = systemNetwork({ ca: trusted, proxy: NO_PROXY });
  const { promise, resolve } = Promise.withResolvers<WebSocketEnd | 'open'>();
  const connection = network.dial(
    `wss://${host}:${server.port}/`,
    { headers: { authorization: 'Bearer secret' }, messageLimitBytes: 1_000 },
    {
      opened: () => resolve('open'),
      message: () => undefined,
      heard: () => undefined,
      closed: resolve,
    },
  );
  const end = await promise;
  connection.terminate();
  network.close();
  return { end, requests };
}

const refusedBecause = (why: string) => ({
  end: { code: 1006, reason: expect.stringContaining(why), unreachable: true },
  requests: 0, // And so the token has not left.
});

describe('TLS without a proxy between', () => {
  test.each(['localhost', '127.0.0.1'])('a certificate for %s is good for it', async (host) => {
    expect(await dialSecurely(host, host, 'its own')).toEqual({ end: 'open', requests: 1 });
  });

  test.each([
    ['example.com', 'localhost'],
    ['127.0.0.1', 'localhost'],
    ['localhost', '127.0.0.1'],
  ])('a certificate for %s is not good for %s', async (certificateFor, host) => {
    expect(await dialSecurely(certificateFor, host, 'its own')).toEqual(
      refusedBecause('does not match'),
    );
  });

  test('a certificate of an authority that is not trusted is not good', async () => {
    expect(await dialSecurely('localhost', 'localhost', 'another')).toEqual(
      refusedBecause('unable to verify'),
    );
  });
});
