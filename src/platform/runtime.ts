import { dlopen, FFIType } from 'bun:ffi';
import { readFileSync } from 'node:fs';
import type { Runtime } from '../core/ports.ts';
import { fixedMappings } from './fixed-mappings.ts';

/** madvise(2); the same on every architecture of Linux. */
const MADV_DONTNEED = 4;
const MAPPINGS = '/proc/self/smaps';
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
    // If it fails, the pages stay as they were.
    libc.symbols.madvise(start, end - start, MADV_DONTNEED);
  }
  libc.close();
}
