import { dlopen, FFIType } from 'bun:ffi';
import { readFileSync } from 'node:fs';
import type { Runtime } from '../core/ports.ts';

/** madvise(2); the same on every architecture of Linux. */
const MADV_DONTNEED = 4;
const MAPPINGS = '/proc/self/smaps';
/** The first line of a mapping (proc(5), "/proc/pid/maps"). */
const HEADING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ +(.*)$/;
const NORMAL_JIT_SCALE = 1;

/** Bun and the process that it runs in. */
export function systemRuntime(): Runtime {
  return {
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    compileEagerly: () => Bun.unsafe.setJITPolicy(NORMAL_JIT_SCALE),
    releaseCode,
  };
}

function releaseCode(): void {
  const fixed = fixedMappings(readFileSync(MAPPINGS, 'latin1'), process.execPath);
  if (fixed.length === 0) {
    return;
  }
  const libc = dlopen('libc.so.6', {
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  });
  for (const { start, end } of fixed) {
    // What fails stays as it was.
    libc.symbols.madvise(start, end - start, MADV_DONTNEED);
  }
  libc.close();
}

export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Where code and constants of a program are mapped, as far as they are only what stands in its file:
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
