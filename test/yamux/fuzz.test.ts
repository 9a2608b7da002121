import { expect, test } from 'bun:test';
import { fuzzYamux } from '../load/yamux-fuzz.ts';

const FRAMES = 100_000;

test('frames that are changed, cut and made up end a session at worst', async () => {
  const result = await fuzzYamux(1, FRAMES);
  expect(result.frames).toBe(FRAMES);
  // It did meet every way to end one.
  expect(Object.keys(result.ends).sort()).toEqual([
    'stream N cannot be opened',
    'stream N was sent more than its window',
    'the peer goes away with code N',
    'the window of stream N overflows',
    'what came is no frame of yamux',
  ]);
});
