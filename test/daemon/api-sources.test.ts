/** What the local API shows of commands, beside what api.test.ts asks of a whole daemon. */
import { expect, test } from 'bun:test';
import { commandProgress } from '../../src/commands/engine/progress.ts';
import { commandSource } from '../../src/daemon/api-sources.ts';
import { commandOf, openJournal, resultOf } from '../support/open-journal.ts';

function stand() {
  const open = openJournal();
  const progress = commandProgress(open);
  return { ...open, progress, commands: commandSource({ ...open, progress }) };
}

test('a secret that a result tells the control plane is shown to nobody else', async () => {
  const { journal, commands } = stand();
  await journal.accept(commandOf('c-1', { type: 'join_token' }));
  const token = 'T0ken-without-any-known-shape';
  await journal.finish('c-1', { ...resultOf('made'), data: { id: 'abc', role: 'agent', token } });
  const shown = commands.find('c-1');
  expect(shown?.result?.data).toEqual({ id: 'abc', role: 'agent', token: expect.any(String) });
  expect(JSON.stringify([shown, commands.list({ limit: 10 })])).not.toContain(token);
  expect(journal.pending(1)[0]?.result.data?.['token']).toBe(token);
});

test('a command that runs is shown with its target and its newest progress, also when that was taken', async () => {
  const { journal, progress, commands } = stand();
  const payload = { name: 'web', namespace: 'shop' };
  await journal.accept(commandOf('c-1', { payload }));
  const attempt = await journal.begin('c-1');
  progress.report({ id: 'c-1', sequence: 1, attempt, message: '1 of 3 ready' });
  progress.take();
  expect(commands.find('c-1')).toMatchObject({
    ...{ state: 'running', outcome: null, attempts: 1, target: 'shop/web' },
    ...{ progress: '1 of 3 ready', result: null },
  });
  progress.forget('c-1');
  expect(commands.find('c-1')?.progress).toBeNull();
});

test('an open command is asked to stop; of one that has ended the control plane hears nothing again', async () => {
  const { journal, commands } = stand();
  await journal.accept(commandOf('open'));
  await journal.accept(commandOf('over'));
  await journal.finish('over', resultOf('done'));
  await journal.delivered('over');
  expect(await commands.cancel('open')).toEqual({ outcome: 'cancelling' });
  expect(await commands.cancel('over')).toEqual({ outcome: 'finished' });
  expect(await commands.cancel('none')).toBeUndefined();
  expect([journal.takeCancelled(), journal.pending(5)]).toEqual([['open'], []]);
  // One that comes later than its cancellation would be cancelled: this one was never asked for.
  expect(await journal.accept(commandOf('none'))).toBe('accepted');
  expect(journal.find('none')?.cancelled).toBeFalse();
});

test('of a long result a list does not say how it ended, and the command itself does', async () => {
  const { journal, commands } = stand();
  await journal.accept(commandOf('long'));
  await journal.finish('long', resultOf('x'.repeat(100_000)));
  expect(commands.list({ limit: 1 }).items[0]?.outcome).toBe('ended');
  expect(commands.find('long')?.outcome).toBe('succeeded');
});
