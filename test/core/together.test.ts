import { expect, test } from 'bun:test';
import { together } from '../../src/core/together.ts';
import { turn } from '../support/until.ts';

/** Runs until its signal aborts, and notes its end a moment later. */
function worker(ended: string[], name: string) {
  return async (signal: AbortSignal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await turn();
    ended.push(name);
  };
}

test('it ends when all have ended', async () => {
  const ended: string[] = [];
  const stop = new AbortController();
  const running = together([worker(ended, 'one'), worker(ended, 'two')], stop.signal);
  stop.abort();
  await running;
  expect(ended).toEqual(['one', 'two']);
});

test('the first that fails ends the others, and its error comes when they have ended', async () => {
  const ended: string[] = [];
  const failing = async () => {
    throw new Error('a bug');
  };
  const running = together([worker(ended, 'one'), failing], new AbortController().signal);
  await expect(running).rejects.toThrow('a bug');
  expect(ended).toEqual(['one']);
});
