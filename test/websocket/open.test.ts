import { expect, test } from 'bun:test';
import { OPCODES } from '../../src/websocket/frame.ts';
import { OpenWebSocket } from '../../src/websocket/open.ts';

/** A client, and what it did, in order. What it sends is shown without mask. */
function clientStand(messageBytesMax = 1_000) {
  const events: unknown[] = [];
  const client = new OpenWebSocket(
    { messageBytesMax, randomBytes: (length) => new Uint8Array(length).fill(7) },
    {
      send: (bytes) => {
        const payload = bytes.subarray(6).map((byte) => byte ^ 7);
        events.push(['sent', (bytes[0] ?? 0) & 0x0f, Buffer.from(payload).toString('latin1')]);
      },
      message: (opcode, payload) => events.push(['message', opcode, payload.toString('latin1')]),
      ping: () => events.push(['ping']),
      pong: (payload) => events.push(['pong', payload.toString('latin1')]),
      closed: (code, reason) => events.push(['closed', code, reason]),
    },
  );
  return { client, events };
}

/** A frame of a server. */
function frame(opcode: number, text: string, final = true): Buffer {
  const payload = Buffer.from(text, 'latin1');
  const length =
    payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.of((final ? 0x80 : 0) | opcode, ...length), payload]);
}

test('messages come whole and in order, in one frame or in pieces, with pings between them', () => {
  const { client, events } = clientStand();
  client.received(
    Buffer.concat([
      frame(OPCODES.text, 'one'),
      frame(OPCODES.binary, 'tw', false),
      frame(OPCODES.ping, 'x'),
      frame(OPCODES.continuation, '', false),
      frame(OPCODES.continuation, 'o'),
      frame(OPCODES.pong, 'y'),
      frame(OPCODES.binary, ''),
    ]),
  );
  expect(events).toEqual([
    ['message', OPCODES.text, 'one'],
    ['sent', OPCODES.pong, 'x'],
    ['ping'],
    ['message', OPCODES.binary, 'two'],
    ['pong', 'y'],
    ['message', OPCODES.binary, ''],
  ]);
});

test('a close frame is answered with its code and ends it', () => {
  const { client, events } = clientStand();
  client.received(
    Buffer.concat([frame(OPCODES.close, '\x03\xf4busy'), frame(OPCODES.text, 'late')]),
  );
  client.send(OPCODES.text, [Buffer.from('late too')]);
  client.ended();
  expect(events).toEqual([
    ['sent', OPCODES.close, '\x03\xf4'],
    ['closed', 1012, 'busy'],
  ]);
});

test('a close frame without a code is answered with one without a code', () => {
  const { client, events } = clientStand();
  client.received(frame(OPCODES.close, ''));
  expect(events).toEqual([
    ['sent', OPCODES.close, ''],
    ['closed', 1005, ''],
  ]);
});

test('after goodbye nothing is listened to', () => {
  const { client, events } = clientStand();
  client.close(1000, 'done');
  client.received(frame(OPCODES.text, 'late'));
  expect(events).toEqual([
    ['sent', OPCODES.close, '\x03\xe8done'],
    ['closed', 1000, 'done'],
  ]);
});

test('a connection that is gone is closed abnormally', () => {
  const { client, events } = clientStand();
  client.ended('reset');
  expect(events).toEqual([['closed', 1006, 'reset']]);
});

test.each([
  ['a piece of nothing', 1002, [frame(OPCODES.continuation, 'x')]],
  ['a message within another', 1002, [frame(OPCODES.text, 'x', false), frame(OPCODES.text, 'y')]],
  ['a masked frame', 1002, [Buffer.of(0x81, 0x80, 0, 0, 0, 0)]],
  ['a frame that is too long', 1009, [frame(OPCODES.binary, 'x'.repeat(1_001))]],
  [
    'pieces that are too long together',
    1009,
    [frame(OPCODES.binary, 'x'.repeat(600), false), frame(OPCODES.continuation, 'x'.repeat(600))],
  ],
  [
    'pieces without number',
    1009,
    [frame(OPCODES.text, '', false), ...Array(20_000).fill(frame(OPCODES.continuation, '', false))],
  ],
])('%s closes the connection with %d', (_, code, frames) => {
  const { client, events } = clientStand();
  client.received(Buffer.concat(frames));
  expect(events).toEqual([
    ['sent', OPCODES.close, expect.any(String)],
    ['closed', code, expect.any(String)],
  ]);
});

test('each frame has a mask of its own', () => {
  const masks = new Set<string>();
  const client = new OpenWebSocket(
    {
      messageBytesMax: 1_000,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    },
    {
      send: (bytes) => masks.add(Buffer.from(bytes.subarray(2, 6)).toString('hex')),
      message: () => undefined,
      ping: () => undefined,
      pong: () => undefined,
      closed: () => undefined,
    },
  );
  for (let sent = 0; sent < 2_000; sent += 1) {
    client.send(OPCODES.binary, [Buffer.from('x')]);
  }
  expect(masks.size).toBeGreaterThan(1_990);
});
