/** The first line of a mapping (proc(5), "/proc/pid/maps"). */
const HEADING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ +(.*)$/;

interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Where code and constants of a program are mapped, as long as they are the same as in its file:
 * pages that the process has changed exist nowhere else, and would be lost.
 * @param smaps content of /proc/pid/smaps
 */
export function fixedMappings(smaps: string, executable: string): readonly Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of smaps.split('\n')) {
    const [, start, end, flags, path] = HEADING.exec(line) ?? [];
    if (flags !== undefined) {
      const isFixed = ['r-xp', 'r--p'].includes(flags) && path === executable;
      current = isFixed ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) } : undefined;
    } else if (current !== undefined && /^Anonymous: +0 kB$/.test(line)) {
      found.push(current);
    }
  }
  return found;
}
