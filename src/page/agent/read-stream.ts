/** Streams of the agent, read for as long as somebody looks: one that breaks is taken up where it was. */
import { type ServerSentEvent, serverSentEvents } from '../../core/text/server-sent-events.ts';
import type { AnswerOf, GivenOf } from '../../protocol/local-api-table.ts';
import type { Agent } from './agent.ts';
import { waited } from './waited.ts';

/** How long to wait before it is opened again: ever longer while that fails, ms. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;
/** The agent sends something every 15 s: after so long without, the connection is dead. */
const SILENCE_MAX_MS = 40_000;
/** Characters of one event. */
const EVENT_LENGTH_MAX = 1024 * 1024;

/** Routes that answer with a stream of events, and go on behind one of them. */
type StreamName = 'GET /api/realtime/events' | 'GET /api/realtime/logs';

interface StreamWish<Name extends StreamName> {
  readonly name: Name;
  readonly given: GivenOf<Name>;
  /** The id of the newest event that is known; undefined: it begins. */
  readonly after: string | undefined;
  readonly hear: (event: AnswerOf<Name>, id: string) => void;
  /** Whether it is open; called at each change. */
  readonly onOpen: (isOpen: boolean) => void;
}

/** Until the signal aborts. */
export async function readStream<Name extends StreamName>(
  agent: Pick<Agent, 'open'>,
  wish: StreamWish<Name>,
  signal: AbortSignal,
): Promise<void> {
  let { after } = wish;
  let pauseMs = RETRY_FIRST_MS;
  const hear = ({ id, event, data }: ServerSentEvent) => {
    after = id;
    pauseMs = RETRY_FIRST_MS;
    // The agent and its page are of the same build.
    wish.hear({ event, data: JSON.parse(data) } as AnswerOf<Name>, id);
  };
  const openStream = (either: AbortSignal) =>
    agent.open(wish.name, { ...wish.given, after }, either);
  while (!signal.aborted) {
    await readOnce(openStream, { onOpen: wish.onOpen, hear }, signal);
    wish.onOpen(false);
    await waited(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS);
  }
}

/** To its end, however it ends: then it is opened again. What refuses it refuses other questions as well. */
async function readOnce(
  open: (signal: AbortSignal) => Promise<Response>,
  {
    hear,
    onOpen,
  }: {
    readonly hear: (event: ServerSentEvent) => void;
    readonly onOpen: (isOpen: boolean) => void;
  },
  signal: AbortSignal,
): Promise<void> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const sign = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
  };
  sign();
  try {
    const { body } = await open(AbortSignal.any([signal, silence.signal]));
    onOpen(true);
    for await (const event of serverSentEvents(bytesOf(body, sign), EVENT_LENGTH_MAX)) {
      hear(event);
    }
  } catch {
    return;
  } finally {
    clearTimeout(timer);
  }
}

/** Not every browser lets a body be iterated. @param sign called whenever bytes come */
async function* bytesOf(
  body: ReadableStream<Uint8Array> | null,
  sign: () => void,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
    sign();
    yield read.value;
  }
}
