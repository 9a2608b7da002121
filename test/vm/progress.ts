/** One line per phase on stderr, so that a person who waits sees what for. */

export interface Progress {
  /** Runs one phase; its line says how long it took, or that it failed. */
  phase<T>(label: string, work: () => Promise<T>): Promise<T>;
}

/** Lines look like `[  12.3 s] k3s.test: agent joined (2.9 s)`; the first number counts from here. */
export function reportProgress(prefix: string): Progress {
  const start = performance.now();
  const line = (text: string) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`[${seconds} s] ${prefix}: ${text}\n`);
  };
  return {
    async phase(label, work) {
      const began = performance.now();
      const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
      try {
        const result = await work();
        line(`${label} (${took()})`);
        return result;
      } catch (error) {
        line(`${label} FAILED after ${took()}`);
        throw error;
      }
    },
  };
}
