/** A connected socket as a stream of bytes. */
export interface ByteStream {
  /** Begins to call the handlers. What came before comes first. */
  start(handlers: ByteStreamHandlers): void;
  /** The bytes may be reused when it has returned. */
  write(bytes: Uint8Array): void;
  /** Bytes that were written but that the system has not taken. */
  unsentBytes(): number;
  /** Reads no more until `resume`. */
  pause(): void;
  resume(): void;
  /** Nothing more will be written. */
  end(): void;
  /** Drops it at once. */
  destroy(): void;
}

export interface ByteStreamHandlers {
  /** Copy the bytes to keep them: their memory is used again. */
  data(bytes: Buffer): void;
  /** The system has taken all that waited. */
  drained?(): void;
  /** Once, and last. @param reason what went wrong; '' when the other side ended it */
  closed(reason: string): void;
}
