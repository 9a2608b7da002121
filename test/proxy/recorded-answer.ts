import type { AgentError } from '../../src/core/errors.ts';
import type { ExchangeSink } from '../../src/http1/client/exchange.ts';
import type { HeaderList, ResponseHead } from '../../src/http1/head.ts';

/** A sink that keeps what it is told. */
export interface RecordedAnswer extends ExchangeSink {
  /** Resolves at the end, rejects at a failure. */
  readonly done: Promise<{
    readonly status: number;
    readonly headers: HeaderList;
    readonly body: string;
    readonly trailers: HeaderList;
  }>;
  /** Resolves with the head. */
  readonly headed: Promise<ResponseHead>;
  body(): string;
  drains(): number;
}

export function recordedAnswer(): RecordedAnswer {
  const done = Promise.withResolvers<Awaited<RecordedAnswer['done']>>();
  const headed = Promise.withResolvers<ResponseHead>();
  done.promise.catch(() => undefined);
  let head: ResponseHead | undefined;
  let drains = 0;
  const chunks: Buffer[] = [];
  const body = () => Buffer.concat(chunks).toString('latin1');
  return {
    done: done.promise,
    headed: headed.promise,
    body,
    drains: () => drains,
    head: (given) => {
      head = given;
      headed.resolve(given);
    },
    data: (chunk) => {
      chunks.push(Buffer.from(chunk));
    },
    end: (trailers) => {
      done.resolve({
        status: head?.status ?? 0,
        headers: head?.headers ?? [],
        body: body(),
        trailers,
      });
    },
    fail: (error: AgentError) => done.reject(error),
    drained: () => {
      drains += 1;
    },
  };
}
