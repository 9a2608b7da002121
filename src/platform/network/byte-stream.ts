/** A connected socket, as one of bytes. */
export interface ByteStream {
  /** Begins to tell. What came before is told first. */
  start(handlers: ByteStreamHandlers): void;
  /** The bytes may be reused when it has returned. */
  write(bytes: Uint8Array): void;
  /** Bytes that were written but that the system has not taken. */
  unsentBytes(): number;
  /** Reads no more until `resume`. */
  pause(): void;
  resume(): void;
  /** No more is written. */
  end(): void;
  /** Drops it at once. */
  destroy(): void;
}

export interface ByteStreamHandlers {
  /** The bytes are to be copied by who keeps them: their memory is used again. */
  data(bytes: Buffer): void;
  /** Once, and last. @param reason what went wrong; '' when the other side ended it */
  closed(reason: string): void;
}
