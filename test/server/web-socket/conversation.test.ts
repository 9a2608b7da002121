/** Limits of one `/ws`: what waits, who is slow, who is gone. */
import { beforeEach, expect, test } from 'bun:test';
import type { ExchangeSink } from '../../../src/http1/client/exchange.ts';
import {
  Conversation,
  PING_EVERY_MS,
  STALLED_MS,
  WAITING_MAX,
} from '../../../src/server/web-socket/conversation.ts';
import { FrameEncoder, OPCODES } from '../../../src/websocket/frame.ts';
import { WebSocketReader } from '../../../src/websocket/reader.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { turn, until } from '../../support/until.ts';

let clock: ManualClock;
let leaving: AbortController;
let it: Conversation;
/** What came out of it: `1 text`, by the opcode; and its end. */
let seen: string[];
/** How many more pieces are taken before it must wait. */
let room: number;

const encoder = new FrameEncoder((length) => new Uint8Array(length).fill(7));
const reader = new WebSocketReader(10_000);

beforeEach(async () => {
  clock = manualClock();
  leaving = new AbortController();
  seen = [];
  room = Number.POSITIVE_INFINITY;
  const sink: ExchangeSink = {
    head: () => undefined,
    data: (bytes) => {
      reader.feed(Buffer.from(bytes));
      for (let read = reader.next(); read.kind === 'frame'; read = reader.next()) {
        const { opcode, payload } = read.frame;
        const text = opcode === OPCODES.close ? payload.readUInt16BE(0) : payload.toString();
        seen.push(`${opcode} ${text}`);
      }
      room -= 1;
      if (room <= 0) {
        it.pause();
      }
    },
    end: () => seen.push('end'),
    fail: () => seen.push('broken'),
    drained: () => seen.push('drained'),
  };
  const deps = {
    clock,
    sink,
    answer: async (question: string) => `answer to ${question}`,
    onOver: (dropped: boolean) => seen.push(dropped ? 'dropped' : 'over'),
  };
  it = new Conversation(deps, Promise.resolve('hello'), leaving.signal);
  await until('the greeting', () => seen.length === 1);
  seen.length = 0;
});

function frame(opcode: number, text: string): Buffer {
  const parts: Buffer[] = [];
  encoder.encode(opcode, [Buffer.from(text)], (bytes) => parts.push(Buffer.from(bytes)));
  return Buffer.concat(parts);
}

test('questions get their answers in order', async () => {
  it.write(Buffer.concat([frame(OPCODES.text, 'one'), frame(OPCODES.text, 'two')]));
  await until('the answers', () => seen.length === 2);
  expect(seen).toEqual(['1 answer to one', '1 answer to two']);
});

test('who takes nothing is answered no more, and goes on when it takes again', async () => {
  room = 1;
  expect(it.write(frame(OPCODES.text, 'one'))).toBeTrue();
  await until('the first answer', () => seen.length === 1);
  expect(it.write(frame(OPCODES.text, 'two'))).toBeFalse();
  await turn();
  expect(seen).toEqual(['1 answer to one']);
  room = Number.POSITIVE_INFINITY;
  it.resume();
  await until('the second answer', () => seen.length === 3);
  expect(seen).toEqual(['1 answer to one', 'drained', '1 answer to two']);
});

test('who takes nothing for long is dropped', async () => {
  it.pause();
  for (let passedMs = 0; passedMs <= STALLED_MS; passedMs += PING_EVERY_MS) {
    clock.advance(PING_EVERY_MS);
    it.write(frame(OPCODES.ping, ''));
    await turn();
  }
  await until('the end', () => seen.includes('broken'));
  expect(seen.filter((each) => !each.startsWith('10'))).toEqual(['dropped', 'broken']);
});

test('who does not answer pings is gone', async () => {
  for (let passedMs = 0; passedMs <= STALLED_MS; passedMs += PING_EVERY_MS) {
    clock.advance(PING_EVERY_MS);
    await turn();
  }
  await until('the end', () => seen.includes('broken'));
  expect(seen).toEqual(['9 ', 'dropped', 'broken']);
});

test('more questions than may wait close it', async () => {
  it.write(Buffer.concat(Array(WAITING_MAX + 2).fill(frame(OPCODES.text, 'x'))));
  await until('the end', () => seen.includes('end'));
  expect(seen).toEqual(['8 1008', 'over', 'end']);
});

test('what is no text closes it', () => {
  it.write(frame(OPCODES.binary, 'x'));
  expect(seen).toEqual(['8 1003', 'over', 'end']);
});

test('a question that is too long closes it', () => {
  it.write(frame(OPCODES.text, 'x'.repeat(5_000)));
  expect(seen).toEqual(['8 1009', 'over', 'end']);
});

test('an agent that stops says so', () => {
  leaving.abort();
  expect(seen).toEqual(['8 1001', 'over', 'end']);
});

test('after the caller has gone it is told nothing', async () => {
  it.write(frame(OPCODES.text, 'one'));
  it.abort();
  leaving.abort();
  await turn();
  expect(seen).toEqual(['over']);
});
