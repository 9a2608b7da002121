import { describe, expect, test } from 'bun:test';
import type { TroubleKind } from '../../../src/core/network-trouble.ts';
import type { WebSocketEnd } from '../../../src/core/ports.ts';
import { systemNetwork } from '../../../src/platform/network/open.ts';
import { dialStream } from '../../../src/platform/network/stream-dialer.ts';
import { makeCertificates } from '../../support/tls.ts';

const NO_PROXY = { url: '', credentials: '', noProxy: '' };

/**
 * Dials a server whose certificate is for one name.
 * @returns how it ended, or that it is open, and how many requests the server saw
 */
async function dialSecurely(
  certificateFor: string,
  host: string,
  trust: 'its own' | 'another' | 'the public ones' | 'no certificate',
) {
  const { ca, cert, key } = await makeCertificates([certificateFor]);
  const other = (await makeCertificates([certificateFor])).ca;
  const trusted = {
    'its own': ca,
    another: other,
    'the public ones': undefined,
    'no certificate': 'not a certificate',
  }[trust];
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

const refusedBecause = (kind: TroubleKind, why: string, ownCa = true) => {
  const reason = expect.stringContaining(why);
  return {
    end: { code: 1006, reason, unreachable: { kind, why: reason, ownCa, proxy: '' } },
    requests: 0, // And so the token has not left.
  };
};

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
      refusedBecause('name', 'its certificate is for another name'),
    );
  });

  test.each(['localhost', '127.0.0.1'])(
    'a certificate of an authority that is not trusted is not good for %s, and named',
    async (host) => {
      const why = 'its certificate is of an authority, "Test CA", that is not trusted here';
      expect(await dialSecurely(host, host, 'another')).toEqual(refusedBecause('authority', why));
      expect(await dialSecurely(host, host, 'the public ones')).toEqual(
        refusedBecause('authority', why, false),
      );
    },
  );

  test('what is no certificate is told from one of another authority', async () => {
    expect(await dialSecurely('localhost', 'localhost', 'no certificate')).toEqual(
      refusedBecause('ca', 'the certificates to trust it by cannot be used'),
    );
  });

  test.each([undefined, 'ca'])('a server that speaks no TLS is told, with %s', async (trust) => {
    const ca = trust && (await makeCertificates(['127.0.0.1'])).ca;
    await using server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() });
    const network = systemNetwork({ ca, proxy: NO_PROXY });
    const url = `https://127.0.0.1:${server.port}/`;
    const rejection = {
      trouble: expect.objectContaining({
        kind: 'not_tls',
        why: 'what listens there does not speak TLS',
      }),
    };
    await expect(network.http(url)).rejects.toMatchObject(rejection);
    await expect(dialStream(new URL(url), { ca, proxy: NO_PROXY })).rejects.toMatchObject(
      rejection,
    );
    network.close();
  });
});
