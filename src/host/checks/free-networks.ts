import { type IpRange, ipRange, overlaps } from '../../core/ip-range.ts';

/** Of a network of pods and one of Services, as k3s has them. */
const FREE_PREFIX = 16;

/** In CIDR notation. */
export interface FreePair {
  readonly pods: string;
  readonly services: string;
}

/** Two networks beside each other of which nothing is used: 10.44/16 and 10.45/16, and so on. */
export function freePair(used: readonly IpRange[]): FreePair | undefined {
  for (const second of [...count(44, 254), ...count(0, 42)]) {
    const pods = `10.${second}.0.0/${FREE_PREFIX}`;
    const services = `10.${second + 1}.0.0/${FREE_PREFIX}`;
    const isFree = [pods, services].every((text) => {
      const range = ipRange(text);
      return range !== undefined && used.every((each) => !overlaps(each, range));
    });
    if (isFree) {
      return { pods, services };
    }
  }
  return undefined;
}

/** Every second number: 44, 46, …, below `to`. */
function count(from: number, to: number): readonly number[] {
  return Array.from({ length: (to - from) / 2 }, (_, index) => from + 2 * index);
}
