/** Puts the agent's own answer on a connection, at once or at the pace of who reads it. */
import { toAgentError } from '../../core/errors.ts';
import type { ExchangeSink } from '../../http1/client/exchange.ts';
import { reasonPhrase } from '../../http1/reason-phrase.ts';
import type { ProxyCall } from '../../http1/server/call.ts';
import type { AnswerRequest, ApiReply, ApiRequest } from './answers.ts';
import type { ApiStream, StreamCall, StreamSink } from './stream.ts';

/** Request bodies are not used here; they are read to their end and dropped. */
export function sendAnswer(
  answer: AnswerRequest,
  request: ApiRequest,
  sink: ExchangeSink,
): ProxyCall {
  const gone = new AbortController();
  let stream: StreamCall | undefined;
  let hasRoom = true;
  const room: StreamSink = {
    write: (bytes) => {
      sink.data(bytes);
      return hasRoom; // `pause` was called meanwhile where there is none.
    },
    end: () => sink.end([]),
    break: () => sink.fail(toAgentError(new Error('the stream cannot go on'))),
  };
  const tell = async () => {
    const reply = await answer(request, gone.signal);
    if (gone.signal.aborted) {
      return;
    }
    if (Buffer.isBuffer(reply.body)) {
      sendWhole(sink, reply, reply.body);
    } else {
      stream = beginStream(sink, reply, reply.body, request, room);
    }
  };
  tell().catch((thrown: unknown) => sink.fail(toAgentError(thrown)));
  return {
    write: () => true,
    endRequest: () => undefined,
    pause: () => {
      hasRoom = false;
    },
    resume: () => {
      hasRoom = true;
      stream?.room();
    },
    abort: () => {
      gone.abort();
      stream?.gone();
    },
  };
}

function sendWhole(sink: ExchangeSink, { status, headers }: ApiReply, body: Buffer): void {
  // Of a 304 it would be the length of what is not sent (RFC 9110 section 8.6).
  const length = status === 304 ? [] : [['Content-Length', String(body.length)] as const];
  sink.head({ status, reason: reasonPhrase(status), headers: [...headers, ...length] });
  sink.data(body);
  sink.end([]);
}

function beginStream(
  sink: ExchangeSink,
  { status, headers }: ApiReply,
  stream: ApiStream,
  { method }: ApiRequest,
  room: StreamSink,
): StreamCall | undefined {
  sink.head({ status, reason: reasonPhrase(status), headers });
  if (method === 'HEAD') {
    sink.end([]);
    return undefined;
  }
  return stream.begin(room);
}
