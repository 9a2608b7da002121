/** An answer that goes on while its caller reads it. */

/** Where the bytes go. */
export interface StreamSink {
  /** The bytes are not copied. @returns false: the caller takes no more until `room` is called */
  write(bytes: Buffer): boolean;
  end(): void;
  /** It cannot be whole: only a broken connection says so. */
  break(): void;
}

/** The caller's side of it. */
export interface StreamCall {
  /** The caller takes bytes again. */
  room(): void;
  /** The caller has gone: the sink must hear nothing more. */
  gone(): void;
}

export interface ApiStream {
  /** Begins to write, at once or later; called once at most. */
  begin(sink: StreamSink): StreamCall;
}
