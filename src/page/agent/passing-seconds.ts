const SECOND_MS = 1_000;

/** One timer for everything that changes with the time. */
export interface Seconds {
  /** Calls each second, until the returned function is called. */
  onPass(listener: () => void): () => void;
}

export function passingSeconds(): Seconds {
  const listeners = new Set<() => void>();
  let timer: ReturnType<typeof setInterval> | undefined;
  const pass = () => {
    for (const listener of [...listeners]) {
      listener();
    }
  };
  return {
    onPass: (listener) => {
      listeners.add(listener);
      timer ??= setInterval(pass, SECOND_MS);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
  };
}
