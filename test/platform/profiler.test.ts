import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemProfiler } from '../../src/platform/profiler.ts';
import { HeapSnapshot } from '../../src/protocol/local-debug.ts';

/** Long enough for some samples. */
const BUSY_MS = 200;

/** What the tests look for. */
function rememberedByItsName(): void {
  const end = performance.now() + BUSY_MS;
  let texts = 0;
  while (performance.now() < end) {
    texts += JSON.stringify({ at: performance.now() }).length;
  }
  expect(texts).toBePositive();
}

test('a profile names what ran, with times that fit together', async () => {
  const stop = await systemProfiler().startCpuProfile();
  rememberedByItsName();
  const { nodes, samples, timeDeltas, startTime, endTime } = await stop();
  const found = nodes.find(({ callFrame }) => callFrame.functionName === 'rememberedByItsName');
  expect(found?.callFrame.url).toEndWith('/profiler.test.ts');
  const ids = new Set(nodes.map(({ id }) => id));
  expect([samples.every((id) => ids.has(id)), timeDeltas.length]).toEqual([true, samples.length]);
  // Microseconds; it begins with the first sample.
  const tookMs = (endTime - startTime) / 1_000;
  expect(tookMs).toBeGreaterThan(BUSY_MS / 2);
});

test('the stacks of what ran are there, once, and after a profile again', async () => {
  const profiler = systemProfiler();
  const names = () => profiler.takeStacks().flatMap(({ frames }) => frames);
  expect(names()).toEqual([]); // Nobody watches.
  profiler.watchStacks();
  rememberedByItsName();
  const expected = expect.stringMatching(/^rememberedByItsName \(profiler\.test\.ts:\d+\)$/);
  expect(names()).toContainEqual(expected);
  expect(names()).not.toContainEqual(expected);
  const stop = await profiler.startCpuProfile();
  rememberedByItsName();
  expect(names()).toEqual([]);
  const { nodes } = await stop();
  expect(nodes.map(({ callFrame }) => callFrame.functionName)).toContain('rememberedByItsName');
  rememberedByItsName();
  expect(names()).toContainEqual(expected);
});

/** In a process of its own: that of the tests holds what hundreds of them have left, and to write all that takes long. */
const SNAPSHOT_OF_A_PROCESS = `
import { systemProfiler } from '${join(import.meta.dir, '../../src/platform/profiler.ts')}';
const profiler = systemProfiler();
await Bun.write(Bun.stdout, profiler.heapSnapshot());
process.exit(profiler.heapBytes() > 0 ? 0 : 1);
`;

test('a snapshot of the heap is what V8 writes, and there is a size of it', async () => {
  const child = Bun.spawn([process.execPath, '-e', SNAPSHOT_OF_A_PROCESS], { stdin: 'ignore' });
  const snapshot = HeapSnapshot.parse(await new Response(child.stdout).json());
  expect(snapshot.nodes.length).toBePositive();
  expect(snapshot.strings.length).toBePositive();
  expect(await child.exited).toBe(0);
});
