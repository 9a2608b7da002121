import { beforeAll, expect, test } from 'bun:test';
import { certificatesOf, trustAnchors } from '../../src/core/trust-anchors.ts';
import { makeChain, type TestChain } from '../support/tls.ts';

let made: TestChain;
beforeAll(async () => {
  made = await makeChain(3);
});

test('of a chain only its root is left, in whatever order it stands', () => {
  const root = certificatesOf(made.chain.at(-1) ?? '');
  expect(trustAnchors(made.chain.join('some text\n'))).toEqual(root);
  expect(trustAnchors(made.chain.toReversed().join(''))).toEqual(root);
});

test('whoever trusts that root trusts a server that sends the rest of the chain', async () => {
  await using server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert: [made.cert, ...made.chain].join(''), key: made.key },
    fetch: () => new Response('ok'),
  });
  const ca = trustAnchors(made.chain.join('')).join('\n');
  expect(await (await fetch(server.url, { tls: { ca } })).text()).toBe('ok');
  const [signer] = made.chain;
  expect(await fetch(server.url, { tls: { ca: signer ?? '' } }).catch(() => 'refused')).toBe(
    'refused',
  );
});
