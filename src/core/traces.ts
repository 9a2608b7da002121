/** Traces as the agent makes them: what one command or request caused, here and at others. */

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface SpanStart {
  /** Whether it answers somebody, asks somebody, or works off what was queued. */
  readonly kind: 'server' | 'client' | 'consumer';
  readonly attributes: SpanAttributes;
}

export interface SpanEnd {
  /** What went wrong, in a word; undefined where nothing did. */
  readonly error: string | undefined;
  readonly attributes?: SpanAttributes;
}

/** One piece of work in a trace. */
export interface Span {
  /** How others name it as the cause of what they do (W3C Trace Context). */
  readonly traceparent: string;
  /** What this begins, now and later, is inside this span. */
  run<Result>(work: () => Result): Result;
  /** Once. */
  end(end: SpanEnd): void;
}

export interface Traces {
  /** @param parent a `traceparent`; what cannot be read is none */
  begin(name: string, parent: string | undefined, start: SpanStart): Span;
  /** Within the work of another span; undefined elsewhere: it is no part of a trace. */
  beginInside(name: string, start: SpanStart): Span | undefined;
}
