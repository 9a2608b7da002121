/** Mutated answers of REST against the real client, session and journal, in virtual time. */
import { join } from 'node:path';
import type { Http, Log, LogFields, Random } from '../../src/core/ports.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemRunSoon } from '../../src/platform/run-soon.ts';
import { MESSAGE_LIMIT_BYTES } from '../../src/protocol/session/messages.ts';
import { openDatabase } from '../../src/store/database.ts';
import { commandJournal } from '../../src/store/journal/commands.ts';
import { answerAll, settled } from './answer-all.ts';
import { VALUES } from './protocol-fuzz.ts';
import { rssMib, type Sample, slope } from './resident-memory.ts';
import { runSimulatedAgent } from './simulated-agent.ts';
import { virtualClock } from './virtual-clock.ts';

/** They share the virtual time, of which one alone would waste most. */
const AGENTS = 20;
/** Of all answers, this share is as it should be. */
const GOOD_SHARE = 0.5;
/** What is virtual of a turn, between two looks at how far it is. */
const TURN_MS = 1_000;
/** Once all is well again, every command is answered within this virtual time. */
const RECOVERY_MS = 2 * 3_600_000;
/** Before this share of the run, the memory is still filling its caches. */
const WARM_UP_SHARE = 0.25;
const RSS_SAMPLES = 40;
const CHUNK = new Uint8Array(256 * 1024);

export interface RestFuzzOptions {
  readonly answers: number;
  readonly directory: string;
  readonly random: Random;
}

export interface RestFuzzReport {
  readonly answers: number;
  /** Commands that were handed out whole: how many, and how many had exactly one result. */
  readonly commands: number;
  readonly answeredOnce: number;
  /** Agents whose session ended by itself, which none may. */
  readonly ended: number;
  /** Errors in the log that mean a bug of the agent. */
  readonly internalErrors: readonly string[];
  /** Resident memory, MiB: at the end, and what it grew over a whole run by a line fitted to it. */
  readonly rssMib: { readonly end: number; readonly growth: number };
}

export async function restFuzz(options: RestFuzzOptions): Promise<RestFuzzReport> {
  const { random } = options;
  const clock = virtualClock();
  const stop = new AbortController();
  const internalErrors: string[] = [];
  const log = logOfBugs(internalErrors);
  const peers = Array.from({ length: AGENTS }, () => fuzzedPeer(random));
  let ended = 0;
  const agents = peers.map(async ({ http }, index) => {
    const path = join(options.directory, `agent-${index}.db`);
    const { database } = openDatabase({ clock: systemClock }, path);
    const journal = commandJournal({ database, clock: systemClock, runSoon: systemRunSoon });
    const answering = answerAll(journal, stop.signal);
    const deps = { clock, random, http, log, inbox: journal, outbox: journal };
    await runSimulatedAgent(deps, `agent-${index}`, stop.signal);
    ended += stop.signal.aborted ? 0 : 1;
    await answering;
    await settled(journal);
    database.close();
  });
  const memory: Sample[] = [];
  const answers = () => sum(peers, (peer) => peer.answers());
  while (answers() < options.answers) {
    await clock.run(TURN_MS);
    const at = answers() / options.answers;
    if (at >= (memory.length + 1) / RSS_SAMPLES) {
      memory.push({ at, mib: rssMib() });
    }
  }
  for (const peer of peers) {
    peer.recover();
  }
  const recovered = clock.monotonic() + RECOVERY_MS;
  while (peers.some((peer) => peer.open() > 0) && clock.monotonic() < recovered) {
    await clock.run(TURN_MS);
  }
  const end = rssMib();
  stop.abort();
  await clock.run(TURN_MS);
  await Promise.all(agents);
  return {
    answers: answers(),
    commands: sum(peers, (peer) => peer.commands()),
    ended,
    internalErrors,
    answeredOnce: sum(peers, (peer) => peer.answeredOnce()),
    rssMib: { end, growth: slope(memory.filter(({ at }) => at >= WARM_UP_SHARE)) },
  };
}

function sum<T>(list: readonly T[], of: (each: T) => number): number {
  return list.reduce((total, each) => total + of(each), 0);
}

/** A control plane over REST of which half of all answers are trouble, until it recovers. */
function fuzzedPeer(random: Random) {
  /** Of each command, by its number: the checksum of its first result. Whole ones would be what grows. */
  const firstResults: number[] = [];
  let handedOut = 0;
  /** Commands without a result. */
  const open = new Set<number>();
  /** Commands with another result than their first one. */
  const contradicted = new Set<number>();
  let answers = 0;
  let isWell = false;
  const good = (path: string): unknown => {
    if (!path.endsWith('/commands')) {
      return {};
    }
    if (open.size === 0 && !isWell) {
      open.add(handedOut++);
    }
    return { commands: Array.from(open, (number) => command(`whole-${number}`)) };
  };
  const heard = (number: number, result: string) => {
    const checksum = Bun.hash.crc32(result);
    if (open.delete(number)) {
      firstResults[number] = checksum;
    } else if (number < handedOut && firstResults[number] !== checksum) {
      contradicted.add(number); // Not one that only a changed answer named so far.
    }
  };
  const http: Http = async (url, init) => {
    answers += 1;
    const { pathname } = new URL(url);
    const number = /\/commands\/whole-(0|[1-9]\d*)\/result$/.exec(pathname)?.[1];
    if (number !== undefined) {
      const { timestamp: _, ...result } = JSON.parse(String(init?.body));
      heard(Number(number), JSON.stringify(result));
    }
    return isWell || random.fraction() < GOOD_SHARE
      ? Response.json(good(pathname))
      : mutatedAnswer(random, JSON.stringify(good(pathname)), init?.signal ?? undefined);
  };
  return {
    http,
    answers: () => answers,
    recover: () => {
      isWell = true;
    },
    open: () => open.size,
    commands: () => handedOut,
    answeredOnce: () => handedOut - open.size - contradicted.size,
  };
}

const command = (id: string) => ({
  id,
  type: 'noop',
  payload: {},
  created_at: '2026-01-01T00:00:00.000Z',
});

/** One answer that was a good one, changed in one of many ways. */
function mutatedAnswer(random: Random, text: string, signal: AbortSignal | undefined): Response {
  const pick = <T>(list: readonly [T, ...T[]]): T =>
    list[Math.floor(random.fraction() * list.length)] ?? list[0];
  const value = () => pick([null, ...VALUES]);
  const at = Math.floor(random.fraction() * text.length);
  switch (Math.floor(random.fraction() * 10)) {
    case 0:
      return new Response(text.slice(0, at));
    case 1:
      return new Response(flipped(text, at, Math.floor(random.fraction() * 8)));
    case 2:
      return Response.json(value());
    case 3:
      return Response.json({ commands: value() });
    case 4: {
      const entry = { ...command('odd'), [pick(['id', 'type', 'payload', 'created_at'])]: value() };
      return Response.json({ commands: [entry, value(), entry] });
    }
    case 5:
      return new Response('<html>', {
        status: pick([200, 201, 400, 409, 413, 418, 422, 500, 503]),
      });
    case 6:
      return new Response(text, { status: 302, headers: { location: 'https://elsewhere.test/' } });
    case 7:
      return rare(random) ? new Response(text, { status: pick([401, 403, 404]) }) : odd429(pick);
    case 8:
      return new Response(rare(random) ? tooLong() : `${'['.repeat(at * 20)}${text}`);
    default:
      return rare(random) ? new Response(neverEnding(signal)) : new Response(random.bytes(at));
  }
}

/** For what costs much: memory, or virtual time. */
const rare = (random: Random) => random.fraction() < 0.05;

function odd429(pick: <T>(list: readonly [T, ...T[]]) => T): Response {
  const retryAfter = pick(['1', '-1', '1e9', 'soon', 'Thu, 01 Jan 1970 00:00:00 GMT', '']);
  return new Response('', { status: 429, headers: { 'retry-after': retryAfter } });
}

function flipped(text: string, at: number, bit: number): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(Buffer.from(text));
  bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit);
  return bytes;
}

/** One chunk more than a body may have. */
function tooLong(): ReadableStream<Uint8Array> {
  let left = MESSAGE_LIMIT_BYTES / CHUNK.length + 1;
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(CHUNK);
      left -= 1;
      if (left === 0) {
        controller.close();
      }
    },
  });
}

/** It begins and stays so, until the caller gives up. */
function neverEnding(signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode('{"commands":'));
      signal?.addEventListener('abort', () => controller.error(new Error('given up')), {
        once: true,
      });
    },
  });
}

/** Keeps what no answer of a server may lead to. */
function logOfBugs(bugs: string[]): Log {
  const look = (message: string, fields?: LogFields) => {
    if (fields?.['error_code'] === 'INTERNAL') {
      bugs.push(`${message}: ${fields['error']}`);
    }
  };
  const log: Log = { error: look, warn: look, info: look, debug: look, with: () => log };
  return log;
}
