import { type IpRange, ipRange, overlaps } from '../../core/ip-range.ts';

/** In CIDR notation. */
export interface FreePair {
  readonly pods: string;
  readonly services: string;
}

/** Two networks beside each other of which nothing is used; the nearest to k3s' own ones that are free. */
export function freePair(used: readonly IpRange[], version: 4 | 6 = 4): FreePair | undefined {
  const candidates = version === 4 ? CANDIDATES_4 : CANDIDATES_6;
  return candidates.find((pair) =>
    [pair.pods, pair.services].every((text) => {
      const range = ipRange(text);
      return range !== undefined && used.every((each) => !overlaps(each, range));
    }),
  );
}

/** Private ones (RFC 1918), of the size of k3s' own. */
const CANDIDATES_4: readonly FreePair[] = [
  ...[...everySecond(44, 254), ...everySecond(0, 42)].map((second) => pairOf(10, second)),
  ...everySecond(16, 32).map((second) => pairOf(172, second)),
];

/** Of nobody (RFC 4193), in the sizes of docs.k3s.io, "Basic Network Options". */
const CANDIDATES_6: readonly FreePair[] = everySecond(42, 98).map((third) => ({
  pods: `fd42:42:${third}::/56`,
  services: `fd42:42:${third + 1}::/112`,
}));

function pairOf(first: number, second: number): FreePair {
  return { pods: `${first}.${second}.0.0/16`, services: `${first}.${second + 1}.0.0/16` };
}

/** Below `to`. */
function everySecond(from: number, to: number): readonly number[] {
  return Array.from({ length: (to - from) / 2 }, (_, index) => from + 2 * index);
}
