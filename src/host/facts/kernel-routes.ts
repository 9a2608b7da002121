/** The main table of routes as the kernel itself lists it, for where there is no ip(8). */
import type { Files } from '../../core/ports.ts';
import type { IpRoute } from './ip-route.ts';

/** Of each table; a line has at most 150 bytes. */
const TABLE_READ_BYTES = 4 * 1024 * 1024;
/** Flags of a route (Linux, "route.h" and "ipv6_route.h"). */
const GATEWAY = 0x2;
/** What leads nowhere (reject), and the kernel's own notes of addresses of this machine. */
const NO_WAY = 0x200 | 0x10_0000 | 0x8000_0000;

/** Of both versions of IP. */
export async function kernelRoutes(files: Files): Promise<readonly IpRoute[]> {
  return [...(await kernelRoutes4(files)), ...(await kernelRoutes6(files))];
}

/** proc_pid_net(5), "/proc/net/route". */
export async function kernelRoutes4(files: Files): Promise<readonly IpRoute[]> {
  const [, ...rows] = await rowsOf(files, '/proc/net/route'); // Without the heading.
  return rows.flatMap(([device = '', destination = '', gateway = '', flags = '', , , , mask]) =>
    mask === undefined || hasFlag(flags, NO_WAY)
      ? []
      : [
          {
            destination: `${addressIn(destination)}/${bitsIn(mask)}`,
            device,
            hasGateway: Number.parseInt(gateway, 16) !== 0,
          },
        ],
  );
}

/** The kernel's "net/ipv6/route.c", rt6_info_route. */
export async function kernelRoutes6(files: Files): Promise<readonly IpRoute[]> {
  const rows = await rowsOf(files, '/proc/net/ipv6_route');
  return rows.flatMap(([address = '', length = '', , , , , , , flags = '', device]) =>
    device === undefined || device === 'lo' || address.startsWith('ff') || hasFlag(flags, NO_WAY)
      ? []
      : [
          {
            destination:
              length === '00' ? '::/0' : `${groupsOf(address)}/${Number.parseInt(length, 16)}`,
            device,
            hasGateway: hasFlag(flags, GATEWAY),
          },
        ],
  );
}

async function rowsOf(files: Files, path: string): Promise<readonly (readonly string[])[]> {
  const text = (await files.readStart(path, TABLE_READ_BYTES)) ?? '';
  return text.split('\n').map((line) => line.trim().split(/\s+/));
}

function hasFlag(hex: string, flag: number): boolean {
  return (Number.parseInt(hex, 16) & flag) !== 0;
}

/** The kernel writes the bytes of an address in the order of the processor: the first one last. */
function addressIn(hex: string): string {
  return [...Buffer.from(hex, 'hex')].reverse().join('.');
}

function bitsIn(hex: string): number {
  return Number.parseInt(hex, 16).toString(2).replaceAll('0', '').length;
}

function groupsOf(hex: string): string {
  return hex.match(/.{4}/g)?.join(':') ?? '';
}
