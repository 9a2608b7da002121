import { cpus, hostname, networkInterfaces, totalmem } from 'node:os';
import type { ThisMachine } from '../core/ports.ts';

export const thisMachine: ThisMachine = {
  hostname,
  addresses: () =>
    Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address }) => address),
  processors: () => cpus().length,
  memoryBytes: totalmem,
};
