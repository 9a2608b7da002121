import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { fixedMappings } from '../../src/platform/fixed-mappings.ts';
import { systemRuntime } from '../../src/platform/runtime.ts';

const SMAPS = `00200000-01a39000 r--p 00000000 fe:00 10371336                           /opt/agent
Rss:                6692 kB
Anonymous:             0 kB
01a40000-0684a000 r-xp 01838000 fe:00 10371336                           /opt/agent
Rss:               39492 kB
Private_Dirty:     39492 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
06850000-06860000 r-xp 01838000 fe:00 10371336                           /opt/agent
Rss:                  64 kB
Anonymous:             4 kB
06860000-06867000 r--p 06656000 fe:00 10371336                           /opt/agent
Rss:                  32 kB
Anonymous:            12 kB
06867000-07222000 rw-p 0665e000 fe:00 10371336                           /opt/agent
Rss:                6580 kB
Anonymous:             0 kB
7f9ddef67000-7f9ddf0bd000 r-xp 00026000 fe:00 325                        /lib/x86_64-linux-gnu/libc.so.6
Rss:                1176 kB
Anonymous:             0 kB
7fd3b2e26000-7fd3f2e26000 r-xp 00000000 00:00 0 
Rss:                1196 kB
Anonymous:             0 kB
`;

/** KiB of the runtime's code that are mapped. */
function residentCodeKib(): number {
  const smaps = readFileSync('/proc/self/smaps', 'latin1').split('\n');
  const at = smaps.findIndex((line) => line.includes(' r-xp ') && line.endsWith(process.execPath));
  const rss = smaps.slice(at).find((line) => line.startsWith('Rss:')) ?? '';
  return Number(/\d+/.exec(rss)?.[0]);
}

describe('fixedMappings()', () => {
  test('takes what cannot be written, of the program itself and as it stands in the file', () => {
    expect(fixedMappings(SMAPS, '/opt/agent')).toEqual([
      { start: 0x00200000n, end: 0x01a39000n },
      { start: 0x01a40000n, end: 0x0684a000n },
    ]);
  });
});

describe('systemRuntime()', () => {
  test('lets go of its code and goes on with less of it', () => {
    const runtime = systemRuntime();
    const before = residentCodeKib();
    runtime.releaseCode();
    const after = residentCodeKib();
    expect({ isLess: after < before / 2, adds: [1, 2, 3].map((each) => each * 2) }).toEqual({
      isLess: true,
      adds: [2, 4, 6],
    });
  });

  test('takes a compiler that is eager again', () => {
    expect(() => systemRuntime().compileEagerly()).not.toThrow();
  });

  test('counts the processor time of this process', () => {
    const { cpuMs } = systemRuntime();
    const before = cpuMs();
    for (let work = 0; cpuMs() === before; work += 1) {
      JSON.stringify({ work });
    }
    expect(cpuMs()).toBeGreaterThan(before);
  });
});
