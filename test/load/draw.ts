import { fastRandom } from './fast-random.ts';

const CUTS_MAX = 30;
const SINGLE_BYTES_MAX = 10;

/** @returns a whole number from 0, below this one */
export type Draw = (below: number) => number;

export function drawOf(seed: number): Draw {
  const random = fastRandom(seed);
  return (below) => Math.floor(random.fraction() * below);
}

export function pick<T>(draw: Draw, list: readonly [T, ...T[]]): T {
  return list[draw(list.length)] ?? list[0];
}

/** The bytes in pieces that are cut anywhere: often in none, sometimes in single bytes for a while. */
export function cutAnywhere(draw: Draw, bytes: Buffer): readonly Buffer[] {
  const pieces: Buffer[] = [];
  let singles = 0;
  let at = 0;
  for (
    let cuts = draw(3) === 0 ? draw(CUTS_MAX) : draw(3);
    cuts > 0 && at < bytes.length;
    cuts -= 1
  ) {
    singles = singles > 0 ? singles - 1 : draw(4) === 0 ? draw(SINGLE_BYTES_MAX) : 0;
    const length = singles > 0 ? 1 : 1 + draw(bytes.length - at);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return at < bytes.length ? [...pieces, bytes.subarray(at)] : pieces;
}
