/** Hundreds who read what happens, some of whom stop reading: the door's memory stays as it is. */
import { expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import type { Held } from './events-door.ts';

const READERS = 500;
/** Of them, those who take nothing. */
const STALLED = 50;
/** Not all: the door answers 300 at once, 100 a second. */
const READERS_AT_ONCE = 20;
const WARM_ROUNDS = 2;
const ROUNDS = 4;
const EVENTS_IN_ROUND = 300;
const MIB = 1024 * 1024;
const RSS_GROWTH_BYTES_MAX = 6 * MIB;
/** All that a reader costs the agent, its connection too. */
const READER_BYTES_MAX = 48 * 1024;
const TIMEOUT_MS = 120_000;

interface Reader {
  socket: Socket;
  /** The numbers of its events are without a gap. */
  isWhole: boolean;
  next: number | undefined;
  tail: string;
}

/** Reads events to count them; their texts of 1 000 characters are not kept. */
function openReader(path: string): Reader {
  const reader: Reader = { socket: connect(path), isWhole: true, next: undefined, tail: '' };
  ask(path, reader);
  return reader;
}

function ask(path: string, reader: Reader): void {
  const { socket } = reader;
  socket.write('GET /api/realtime/events HTTP/1.1\r\nHost: agent\r\n\r\n');
  socket.on('data', (bytes: Buffer) => {
    const text = reader.tail + bytes.toString('latin1');
    if (text.startsWith('HTTP/1.1 429')) {
      socket.destroy();
      reader.socket = connect(path); // The door is asked by too many just now.
      ask(path, reader);
      return;
    }
    for (const [, n] of text.matchAll(/"n":(\d+),"text":"x/g)) {
      reader.isWhole &&= reader.next === undefined || reader.next === Number(n);
      reader.next = Number(n) + 1;
    }
    // What was counted must not be counted again.
    reader.tail = text.slice(Math.max(text.lastIndexOf('x'), text.length - 64) + 1);
  });
}

test(
  '500 readers, 50 of them stalled: memory is flat, and who was too slow is dropped',
  async () => {
    await using directory = await tempDirectory();
    const path = join(directory.path, 'agent.sock');
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'events-door.ts'), path], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    });
    const lines = linesOf(child.stdout);
    await lines();
    const add = async (count: number): Promise<Held> => {
      child.stdin.write(`${count}\n`);
      child.stdin.flush();
      return JSON.parse(await lines());
    };
    const before = await add(EVENTS_IN_ROUND);
    const readers: Reader[] = [];
    while (readers.length < READERS) {
      readers.push(openReader(path));
      if (readers.length % READERS_AT_ONCE === 0) {
        await until('they are there', async () => (await add(0)).readers === readers.length);
      }
    }
    for (const { socket } of readers.slice(0, STALLED)) {
      socket.pause();
    }
    const each = ((await add(0)).rssBytes - before.rssBytes) / READERS;
    expect(each).toBeLessThan(READER_BYTES_MAX);
    const rounds: Held[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rounds.push(await add(EVENTS_IN_ROUND));
    }
    const last = (ROUNDS + 1) * EVENTS_IN_ROUND;
    const quick = readers.slice(STALLED);
    await until('they have all', () => quick.every(({ next }) => next === last));
    expect(quick.filter(({ isWhole }) => !isWhole)).toEqual([]);
    const [warm, end] = [rounds[WARM_ROUNDS - 1], rounds.at(-1)];
    const grown = (end?.rssBytes ?? 0) - (warm?.rssBytes ?? 0);
    expect(grown).toBeLessThan(RSS_GROWTH_BYTES_MAX);
    const slow = readers.slice(0, STALLED);
    for (const { socket } of slow) {
      socket.on('error', () => undefined); // It was broken off.
      socket.resume();
    }
    const left = READERS - STALLED;
    await until('the slow ones are dropped', async () => (await add(0)).readers === left);
    expect((await add(EVENTS_IN_ROUND)).readers).toBe(left);
    for (const { socket } of readers) {
      socket.destroy();
    }
    child.kill();
    await child.exited;
  },
  TIMEOUT_MS,
);

/** The next line of what a program writes. */
function linesOf(stream: ReadableStream<Uint8Array>): () => Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = '';
  return async () => {
    while (!text.includes('\n')) {
      const { value } = await reader.read();
      text += decoder.decode(value);
    }
    const [line = ''] = text.split('\n', 1);
    text = text.slice(line.length + 1);
    return line;
  };
}
