/** Mutated messages against the real decoding, session and journal. */
import type { Random } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { MESSAGE_LIMIT_BYTES } from '../../src/protocol/messages.ts';
import { commandJournal } from '../../src/store/command-journal.ts';
import { openDatabase } from '../../src/store/database.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { answerAll, settled } from './answer-all.ts';
import { memoryDial, type ServerSide } from './memory-dial.ts';
import { rssMib, type Sample, slope } from './resident-memory.ts';
import { runSimulatedAgent } from './simulated-agent.ts';

/** Messages between two pauses, in which the journal commits. */
const BATCH = 200;
/** Each of them ends its connection; the waits between two dials are what bounds their number. */
const OVERSIZED_MESSAGES = 4;
/** The agent's time runs so many times faster, for those waits. */
const HURRY = 5;
/** An unanswered command is sent again after this. */
const RESEND_MS = 1_000;
/** Resident memory is measured so many times. */
const RSS_SAMPLES = 40;
/** Before this share of the run, the memory is still filling its caches. */
const WARM_UP_SHARE = 0.25;
/** Each of these many messages is a whole command with an id of its own. */
const WHOLE_COMMAND_EVERY = 50;

export interface FuzzOptions {
  readonly messages: number;
  readonly databasePath: string;
  /** Seeded, and cheap: a fuzz draws a lot. */
  readonly random: Random;
}

export interface FuzzReport {
  readonly sent: number;
  /** Over the limit of a message. */
  readonly oversized: number;
  /** Whole commands: how many, and how many had exactly one answer. */
  readonly commands: number;
  readonly answeredOnce: number;
  /** Resident memory, MiB: at the end, and what it grew over a whole run by a line fitted to it. */
  readonly rssMib: { readonly end: number; readonly growth: number };
  /** Connections that were ended with 1009, for a message over the limit. */
  readonly closedTooLarge: number;
  /** … and with other codes. */
  readonly closedOtherwise: number;
}

export async function protocolFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { random } = options;
  const { database } = openDatabase({ clock: systemClock }, options.databasePath);
  const journal = commandJournal({ database, clock: systemClock, runSoon: systemRunSoon });
  const peer = fuzzPeer();
  const stop = new AbortController();
  const agent = runSimulatedAgent(
    {
      ...{ clock: scaledClock(HURRY), random, inbox: journal, outbox: journal },
      dial: memoryDial(peer.server),
    },
    'fuzzed',
    stop.signal,
  );
  const answering = answerAll(journal, stop.signal);
  const commands: string[] = [];
  let oversized = 0;
  const memory: Sample[] = [];
  const every = (times: number) => Math.max(1, Math.floor(options.messages / times));
  for (let sent = 0; sent < options.messages; sent += 1) {
    if (sent % WHOLE_COMMAND_EVERY === 0) {
      const id = `whole-${sent}`;
      commands.push(id);
      await peer.say(envelope('command', { id, type: 'noop', payload: {} }));
    } else if (sent % every(OVERSIZED_MESSAGES) === 1) {
      await peer.say('x'.repeat(MESSAGE_LIMIT_BYTES + 1));
      oversized += 1;
    } else {
      await peer.say(mutated(random));
    }
    if (sent % BATCH === 0) {
      await Bun.sleep(0);
      await journal.prune();
    }
    if (sent % every(RSS_SAMPLES) === 0) {
      memory.push({ at: sent / options.messages, mib: rssMib() });
    }
  }
  await answered(peer, commands);
  const closes = peer.closes();
  stop.abort();
  peer.end();
  await Promise.all([agent, answering]);
  await settled(journal);
  database.close();
  const answeredOnce = commands.filter((id) => peer.answers(id) === 1).length;
  const closedTooLarge = closes.filter((code) => code === 1009).length;
  return {
    ...{ sent: options.messages, oversized, commands: commands.length, answeredOnce },
    ...{ closedTooLarge, closedOtherwise: closes.length - closedTooLarge },
    rssMib: { end: rssMib(), growth: slope(memory.filter(({ at }) => at >= WARM_UP_SHARE)) },
  };
}

/** What had no room is sent again until it is answered, as a control plane does. */
async function answered(peer: ReturnType<typeof fuzzPeer>, ids: readonly string[]): Promise<void> {
  const open = () => ids.filter((id) => peer.answers(id) === 0).slice(0, BATCH);
  for (let left = open(); left.length > 0; left = open()) {
    for (const id of left) {
      await peer.say(envelope('command', { id, type: 'noop', payload: {} }));
    }
    await Promise.race([peer.whenAnswered(left), Bun.sleep(RESEND_MS)]);
  }
}

/** A control plane that acknowledges results and counts different ones. */
function fuzzPeer() {
  const results = new Map<string, Set<string>>();
  const watchers = new Set<() => void>();
  let live: ServerSide | undefined;
  const closes: number[] = [];
  const look = () => {
    for (const watcher of [...watchers]) {
      watcher();
    }
  };
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      const watcher = () => {
        if (condition()) {
          watchers.delete(watcher);
          resolve();
        }
      };
      watchers.add(watcher);
      watcher();
    });
  const take = (side: ServerSide, message: Record<string, unknown>) => {
    const payload = message['payload'] as { id: string; result: unknown };
    if (message['type'] === 'register') {
      const features = { supports_commands: true, supports_status_reports: true };
      side.send(envelope('register_success', { cluster_id: 'c', features }, message['request_id']));
    } else if (message['type'] === 'heartbeat') {
      // What comes before the first one is for nobody yet; a real peer would send it again.
      live = side;
      side.send(envelope('heartbeat_ack', {}));
    } else if (message['type'] === 'command_result') {
      if (payload.id.startsWith('whole-')) {
        const known = results.get(payload.id) ?? new Set();
        results.set(payload.id, known.add(JSON.stringify(payload.result)));
      }
      side.send(envelope('command_ack', { id: payload.id, of: 'result', outcome: 'kept' }));
    }
    look();
  };
  return {
    server: {
      refusal: () => undefined,
      opened: () => undefined,
      received: (side: ServerSide, data: string | Uint8Array) =>
        take(side, JSON.parse(String(data))),
      closed: (_: ServerSide, code: number) => {
        live = undefined;
        closes.push(code);
      },
    },
    say: async (data: string | Uint8Array) => {
      await until(() => live !== undefined);
      live?.send(data);
    },
    whenAnswered: (ids: readonly string[]) => until(() => ids.every((id) => results.has(id))),
    answers: (id: string) => results.get(id)?.size ?? 0,
    closes: () => closes.slice(),
    end: () => live?.close(1001),
  };
}

function envelope(type: string, payload: unknown, requestId?: unknown): string {
  const timestamp = '2026-01-01T00:00:00.000Z';
  return JSON.stringify({ type, request_id: requestId, payload, timestamp });
}

const TYPES = [
  ...['command', 'command_ack', 'command_cancel', 'heartbeat_ack', 'ping', 'pong', 'error'],
  ...['status_request', 'register_success', 'register_in_progress', 'gateway_hello'],
  ...['__proto__', 'constructor', 'toString', '', 'x'.repeat(300)],
];

/** What no field expects. */
export const VALUES: readonly unknown[] = [
  ...[null, true, -1, 0, 1e308, 2 ** 53, '', 'x', 'a'.repeat(10_000), [], {}, [[[[]]]]],
  ...['\u0000', '\ud800', '../..', '9'.repeat(400), { constructor: { prototype: 1 } }],
];

/** One message that was a valid one, changed in one of many ways. */
function mutated(random: Random): string | Uint8Array {
  const pick = <T>(list: readonly T[]): T | undefined =>
    list[Math.floor(random.fraction() * list.length)];
  const payload: Record<string, unknown> = {
    ...{ id: `f${Math.floor(random.fraction() * 50)}`, type: 'noop', payload: { a: 1 } },
    ...{ of: 'result', outcome: 'kept', error: 'no', pace: { heartbeat_seconds: 30 } },
  };
  const key = pick(Object.keys(payload)) ?? 'id';
  const text = envelope(pick(TYPES) ?? '', payload);
  const at = Math.floor(random.fraction() * text.length);
  switch (Math.floor(random.fraction() * 10)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return flipped(text, at, Math.floor(random.fraction() * 8));
    case 2:
      return envelope(pick(TYPES) ?? '', pick(VALUES));
    case 3:
      return envelope('command', { ...payload, [key]: pick(VALUES) });
    case 4:
      return `{"type":"command","payload":${'['.repeat(at * 20)}${']'.repeat(at * 20)}}`;
    case 5:
      return `{"type":"command","payload":{"id":"p${at}","type":"noop","__proto__":{"x":1}}}`;
    case 6:
      return envelope('command', { ...payload, timeout_seconds: pick(VALUES) }, pick(VALUES));
    case 7:
      return new Uint8Array([0x7b, ...random.bytes(16), 0xff, 0xfe]);
    case 8:
      return text.repeat(2);
    default:
      return JSON.stringify(pick(VALUES));
  }
}

function flipped(text: string, at: number, bit: number): Uint8Array {
  const bytes = Buffer.from(text);
  bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit);
  return bytes;
}
