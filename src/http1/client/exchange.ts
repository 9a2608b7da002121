import type { AgentError } from '../../core/errors.ts';
import type { BodySink } from '../body-framing.ts';
import type { ResponseHead } from '../head.ts';

/** Who receives an answer. Exactly one of `end` and `fail` comes last. */
export interface ExchangeSink extends BodySink {
  /** The final head; with status 101 the bytes that follow are those of the other protocol. */
  head(head: ResponseHead): void;
  fail(error: AgentError): void;
  /** There is room again after `write` returned false. */
  drained(): void;
}

/** A request under way. */
export interface Exchange {
  /** Body bytes, framed already. @returns false when the caller must wait for `drained` */
  write(chunk: Uint8Array): boolean;
  /** The request is whole. */
  endRequest(): void;
  /** No more `data` until `resume`, except what had already arrived. */
  pause(): void;
  resume(): void;
  /** Ends it and its connection; the sink hears nothing more. */
  abort(): void;
}
