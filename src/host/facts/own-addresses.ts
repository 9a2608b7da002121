import { networkInterfaces } from 'node:os';

/** The addresses by which others reach this machine, as they are now. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => address);
}
