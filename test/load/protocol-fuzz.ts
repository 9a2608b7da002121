/** Mutated messages against the real decoding, session and journal. */
import type { Random } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { MESSAGE_LIMIT_BYTES } from '../../src/protocol/session/messages.ts';
import { openDatabase } from '../../src/store/database.ts';
import { commandJournal } from '../../src/store/journal/commands.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { turn } from '../support/until.ts';
import { answerAll, settled } from './answer-all.ts';
import { type CommandLedger, commandLedger, type LedgerTotals } from './command-ledger.ts';
import { memoryDial, type ServerSide } from './memory-dial.ts';
import { rssMib, type Sample, slope } from './resident-memory.ts';
import { runSimulatedAgent } from './simulated-agent.ts';

/** Messages between two pauses, in which the journal commits. */
const BATCH = 200;
/** Each of them ends its connection; the waits between two dials are what bounds their number. */
const OVERSIZED_MESSAGES = 4;
/** The agent's time runs so many times faster, for those waits. */
const HURRY = 5;
/** So long may acknowledgements and results not get on before they count as lost. */
const STALL_MS = 60_000;
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
  /** What became of the whole commands. */
  readonly ledger: LedgerTotals;
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
  const ledger = commandLedger(Math.ceil(options.messages / WHOLE_COMMAND_EVERY));
  const peer = fuzzPeer(ledger);
  const stop = new AbortController();
  const agent = runSimulatedAgent(
    {
      clock: scaledClock(HURRY),
      random,
      inbox: journal,
      outbox: journal,
      dial: memoryDial(peer.server),
    },
    'fuzzed',
    stop.signal,
  );
  const answering = answerAll(journal, stop.signal);
  let oversized = 0;
  const memory: Sample[] = [];
  const every = (times: number) => Math.max(1, Math.floor(options.messages / times));
  for (let sent = 0; sent < options.messages; sent += 1) {
    if (sent % WHOLE_COMMAND_EVERY === 0) {
      await peer.command(sent / WHOLE_COMMAND_EVERY);
    } else if (sent % every(OVERSIZED_MESSAGES) === 1) {
      // What was not acknowledged when a connection ends would have to be sent again.
      await reached(ledger, ({ unacknowledged }) => unacknowledged === 0);
      await peer.say('x'.repeat(MESSAGE_LIMIT_BYTES + 1));
      oversized += 1;
    } else {
      await peer.say(mutated(random));
    }
    if (sent % BATCH === 0) {
      await turn();
      await journal.prune();
    }
    if (sent % every(RSS_SAMPLES) === 0) {
      memory.push({ at: sent / options.messages, mib: rssMib() });
    }
  }
  await allAnswered(peer, ledger);
  const closes = peer.closes();
  stop.abort();
  peer.end();
  await Promise.all([agent, answering]);
  await settled(journal);
  database.close();
  const closedTooLarge = closes.filter((code) => code === 1009).length;
  return {
    sent: options.messages,
    oversized,
    ledger: ledger.totals(),
    closedTooLarge,
    closedOtherwise: closes.length - closedTooLarge,
    rssMib: { end: rssMib(), growth: slope(memory.filter(({ at }) => at >= WARM_UP_SHARE)) },
  };
}

/**
 * What found the journal full, and nothing else, is sent again as a control plane does: not more of
 * it at once than there is room for when all that was accepted has its result.
 */
async function allAnswered(peer: FuzzPeer, ledger: CommandLedger): Promise<void> {
  const settles = () =>
    reached(
      ledger,
      ({ unacknowledged, accepted, answeredOnce }) =>
        unacknowledged === 0 && answeredOnce === accepted,
    );
  await settles();
  for (let left = ledger.refused(BATCH); left.length > 0; left = ledger.refused(BATCH)) {
    for (const command of left) {
      await peer.command(command);
    }
    if (!(await settles())) {
      return;
    }
  }
}

/** @returns false when acknowledgements and results stopped coming before it was so */
async function reached(
  ledger: CommandLedger,
  isThere: (totals: LedgerTotals) => boolean,
): Promise<boolean> {
  let [last, movedAt] = ['', systemClock.monotonic()];
  for (let totals = ledger.totals(); !isThere(totals); totals = ledger.totals()) {
    const now = systemClock.monotonic();
    const state = JSON.stringify(totals);
    if (state !== last) {
      [last, movedAt] = [state, now];
    } else if (now - movedAt > STALL_MS) {
      return false;
    }
    await turn();
  }
  return true;
}

type FuzzPeer = ReturnType<typeof fuzzPeer>;

/** A control plane that acknowledges results and keeps account of its whole commands. */
function fuzzPeer(ledger: CommandLedger) {
  let connected = Promise.withResolvers<void>();
  let live: ServerSide | undefined;
  const closes: number[] = [];
  const wholeCommand = (id: string) => /^whole-(\d+)$/.exec(id)?.[1];
  const take = (side: ServerSide, message: Record<string, unknown>) => {
    const payload = message['payload'] as {
      id: string;
      of: string;
      outcome: string;
      result: unknown;
    };
    if (message['type'] === 'register') {
      const features = { supports_commands: true, supports_status_reports: true };
      side.send(envelope('register_success', { cluster_id: 'c', features }, message['request_id']));
    } else if (message['type'] === 'heartbeat') {
      // What comes before the first one is for nobody yet; a real peer would send it again.
      live = side;
      connected.resolve();
      side.send(envelope('heartbeat_ack', {}));
    } else if (message['type'] === 'command_ack' && payload.of === 'command') {
      const command = wholeCommand(payload.id);
      if (command !== undefined) {
        ledger.acknowledged(Number(command), payload.outcome);
      }
    } else if (message['type'] === 'command_result') {
      const command = wholeCommand(payload.id);
      if (command !== undefined) {
        ledger.answered(Number(command), JSON.stringify(payload.result));
      }
      side.send(envelope('command_ack', { id: payload.id, of: 'result', outcome: 'kept' }));
    }
  };
  const say = async (data: string | Uint8Array) => {
    while (live === undefined) {
      await connected.promise;
    }
    live.send(data);
  };
  return {
    server: {
      refusal: () => undefined,
      opened: () => undefined,
      received: (side: ServerSide, data: string | Uint8Array) =>
        take(side, JSON.parse(String(data))),
      closed: (_: ServerSide, code: number) => {
        live = undefined;
        connected.resolve();
        connected = Promise.withResolvers();
        closes.push(code);
      },
    },
    say,
    command: async (number: number) => {
      ledger.sent(number);
      await say(envelope('command', { id: `whole-${number}`, type: 'noop', payload: {} }));
    },
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
    of: 'result',
    outcome: 'kept',
    error: 'no',
    pace: { heartbeat_seconds: 30 },
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
