import { type Bell, bell } from '../../core/bell.ts';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Files } from '../../core/ports.ts';
import { timeLimit } from '../../core/waiting.ts';
import type { ExchangeSink } from '../../http1/client/exchange.ts';
import type { ProxyCall } from '../../http1/server/call.ts';

/** Read and handed on at once: about 1 ms of the event loop. */
const PIECE_BYTES = 256 * 1024;
/** A program over a slow line; a client that takes longer begins again. */
const ANSWER_MS_MAX = 30 * 60_000;
const NOTHING = new Uint8Array(0);

/** What stands behind a path. */
export type Offered =
  | { readonly text: string }
  | { readonly file: string; readonly sizeBytes: number };

/**
 * Answers one request, as fast as its client takes it.
 * @param ended called once, when nothing more of it is under way
 */
export function answering(
  deps: { readonly clock: Clock; readonly files: Files },
  entry: Offered | undefined,
  sink: ExchangeSink,
  ended: () => void,
): ProxyCall {
  const gone = new AbortController();
  const roomAgain = bell();
  let isPaused = false;
  let isStarted = false;
  const room: Room = { isPaused: () => isPaused, again: roomAgain };
  return {
    write: () => true, // Nobody wants a body.
    endRequest: () => {
      isStarted = true;
      const limit = timeLimit(deps.clock, ANSWER_MS_MAX, gone.signal);
      void answer(deps.files, entry, { sink, room, signal: limit.signal }).finally(() => {
        limit.end();
        ended();
      });
    },
    pause: () => {
      isPaused = true;
    },
    resume: () => {
      isPaused = false;
      roomAgain.ring();
    },
    abort: () => {
      gone.abort();
      if (!isStarted) {
        isStarted = true;
        ended(); // It went before it had asked for anything.
      }
    },
  };
}

interface Room {
  readonly isPaused: () => boolean;
  readonly again: Bell;
}

interface Client {
  readonly sink: ExchangeSink;
  readonly room: Room;
  readonly signal: AbortSignal;
}

async function answer(files: Files, entry: Offered | undefined, client: Client): Promise<void> {
  const { sink } = client;
  if (entry === undefined) {
    sink.head({ status: 404, reason: 'Not Found', headers: [['Content-Length', '0']] });
  } else if ('text' in entry) {
    const bytes = Buffer.from(entry.text);
    sink.head(headOf(bytes.length));
    sink.data(bytes);
  } else if (!(await sendFile(files, entry, client))) {
    return;
  }
  sink.end([]);
}

function headOf(sizeBytes: number) {
  return {
    status: 200,
    reason: 'OK',
    headers: [
      ['Content-Type', 'application/octet-stream'],
      ['Content-Length', String(sizeBytes)],
    ],
  } as const;
}

/** @returns whether all of it was handed on; else the connection is broken, so that nobody takes it for whole */
async function sendFile(
  files: Files,
  { file, sizeBytes }: { readonly file: string; readonly sizeBytes: number },
  { sink, room, signal }: Client,
): Promise<boolean> {
  const opened = await files.openFile(file).catch(() => undefined);
  try {
    if (opened?.sizeBytes !== sizeBytes) {
      sink.head({ status: 404, reason: 'Not Found', headers: [['Content-Length', '0']] });
      sink.end([]);
      return false;
    }
    sink.head(headOf(sizeBytes));
    for (let sent = 0; sent < sizeBytes; ) {
      // A disk that fails is as good as a file that has become shorter.
      const piece = await opened.read(sent, PIECE_BYTES).catch(() => NOTHING);
      if (signal.aborted || piece.length === 0) {
        sink.fail(brokenOff(file));
        return false;
      }
      sink.data(Buffer.from(piece));
      sent += piece.length;
      while (room.isPaused() && !signal.aborted) {
        await room.again.wait(signal);
      }
    }
    return true;
  } finally {
    await opened?.close();
  }
}

function brokenOff(file: string): AgentError {
  return new AgentError('INTERRUPTED', `${file} was not handed on as a whole`, {
    hint: 'Ask again',
  });
}
