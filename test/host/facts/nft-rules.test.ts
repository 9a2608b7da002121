/** That rules are understood: test/host/checks/firewall.test.ts. */
import { expect, test } from 'bun:test';
import { drops, parseNft } from '../../../src/host/facts/nft-rules.ts';

const CHAINS = 6;
const JUMPS = 40;

test('chains that lead to each other many times over do not stop everything else', () => {
  const place = { family: 'ip', table: 'filter' };
  const rows = Array.from({ length: CHAINS }, (_, index) => [
    { chain: { ...place, name: `c${index}`, ...(index === 0 ? { hook: 'input' } : {}) } },
    ...Array.from({ length: JUMPS }, () => ({
      rule: { ...place, chain: `c${index}`, expr: [{ jump: { target: `c${index + 1}` } }] },
    })),
  ]).flat();
  const ruleset = parseNft(JSON.stringify({ nftables: rows }));
  const [first] = ruleset?.chains ?? [];
  if (ruleset === undefined || first === undefined) {
    throw new Error('the rules were not read');
  }
  const packet = { protocol: 'tcp', port: 6443, source: undefined } as const;
  const before = performance.now();
  // What is not understood counts in favour of passing.
  expect(drops(ruleset, { ...first, policy: 'drop' }, packet)).toBe(false);
  expect(performance.now() - before).toBeLessThan(1_000);
});
