import type { Random } from '../../src/core/ports.ts';

/**
 * Random that gives the same numbers for the same seed, so that a failure can be repeated:
 * the SHA-256 of seed and counter.
 */
export function seededRandom(seed: number): Random {
  let drawn = 0;
  const draw = () => {
    drawn += 1;
    return new Bun.CryptoHasher('sha256').update(`${seed}/${drawn}`).digest();
  };
  return {
    fraction: () => draw().readUInt32BE(0) / 2 ** 32,
    bytes: (length) => Uint8Array.from({ length }, () => draw()[0] ?? 0),
  };
}
