import { withoutBrackets } from './text/host-and-port.ts';

/**
 * Whether the host of an address is this machine. Takes the host as `URL` writes it, because `URL`
 * knows every spelling of a number. Linux also connects to itself for the addresses that mean
 * "any".
 */
export function isLoopback(hostname: string): boolean {
  const host = withoutBrackets(hostname).toLowerCase();
  return (
    /^(.+\.)?localhost\.?$/.test(host) ||
    /^(127\.\d+\.\d+\.\d+|0\.0\.0\.0|::1?)$/.test(host) ||
    /^::ffff:(7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)$/.test(host)
  );
}
