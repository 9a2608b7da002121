import { expect, test } from 'bun:test';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { systemJournal } from '../../src/platform/journal.ts';
import { serviceManager } from '../support/service-manager.ts';
import { tempDirectory } from '../support/temp-dir.ts';

/** A directory with a journal's socket, and what $JOURNAL_STREAM says of a descriptor. */
async function journal() {
  const directory = await tempDirectory();
  const path = join(directory.path, 'socket');
  const descriptor = openSync(join(directory.path, 'stderr'), 'w');
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  const receiver = serviceManager(path);
  return {
    ...{ path, descriptor, stream: `${dev}:${ino}`, receive: receiver.receive },
    close: () => receiver[Symbol.dispose](),
    [Symbol.asyncDispose]: async () => {
      receiver[Symbol.dispose]();
      closeSync(descriptor);
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('a record is one datagram of names and values; one of several lines comes with its length', async () => {
  await using at = await journal();
  const send = systemJournal(at.stream, at.path, at.descriptor);
  expect(
    send?.([
      ['MESSAGE', 'a=b ü'],
      ['PRIORITY', '4'],
      ['TWO', 'x\nPRIORITY=0'],
    ]),
  ).toBeTrue();
  const length = '\x0c\0\0\0\0\0\0\0';
  expect(at.receive()).toBe(`MESSAGE=a=b ü\nPRIORITY=4\nTWO\n${length}x\nPRIORITY=0\n`);
});

test('there is no journal where it does not read standard error', async () => {
  await using at = await journal();
  const [device] = at.stream.split(':');
  for (const stream of [undefined, '', `${device}:1`, 'x']) {
    expect(systemJournal(stream, at.path, at.descriptor)).toBeUndefined();
  }
});

test('what the journal cannot take is said, and it never waits for it', async () => {
  await using at = await journal();
  const send = systemJournal(at.stream, at.path, at.descriptor);
  const long = 'x'.repeat(1_000);
  let taken = 0;
  while (send?.([['MESSAGE', long]]) === true) {
    taken += 1; // Nobody reads: its queue is full at some time.
  }
  expect(taken).toBePositive();
  while (at.receive() !== undefined) {
    // Reads all.
  }
  expect(send?.([['MESSAGE', long]])).toBeTrue();
  expect(send?.([['MESSAGE', 'x'.repeat(8 * 1024 * 1024)]])).toBeFalse();
  at.close();
  expect(send?.([['MESSAGE', 'gone']])).toBeFalse();
});
