import { dlopen, FFIType, ptr } from 'bun:ffi';
import { AgentError } from '../core/errors.ts';
import type { HandedConnection, Peer } from '../core/ports.ts';

/** Numbers of socket(7) and unix(7) on Linux; the same on x86-64 and arm64. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid. */
const CREDENTIAL_BYTES = 12;
const STANDARD_INPUT = 0;

/** Standard input and output of a service with `Accept=yes`, `StandardInput=socket`. */
export const systemHandedConnection: HandedConnection = {
  peer: () => peerOf(STANDARD_INPUT),
  readLine: ({ bytes, ms }) => readLine(bytes, ms),
  write: async (text) => {
    // It has gone away: the work that it asked for is done all the same.
    await Bun.stdout.write(text).catch(() => undefined);
  },
};

/** Who connected to the socket. The kernel noted it then; the other side cannot choose it. */
function peerOf(descriptor: number): Peer | undefined {
  const libc = dlopen('libc.so.6', {
    getsockopt: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
      returns: FFIType.i32,
    },
  });
  const credentials = new Int32Array(CREDENTIAL_BYTES / Int32Array.BYTES_PER_ELEMENT);
  const length = new Uint32Array([CREDENTIAL_BYTES]);
  const failed = libc.symbols.getsockopt(
    descriptor,
    SOL_SOCKET,
    SO_PEERCRED,
    ptr(credentials),
    ptr(length),
  );
  const [pid, uid] = credentials;
  return failed !== 0 || pid === undefined || uid === undefined || pid <= 0
    ? undefined
    : { pid, uid: uid >>> 0 };
}

async function readLine(limitBytes: number, limitMs: number): Promise<string | undefined> {
  const reader = Bun.stdin.stream().getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), limitMs);
  const parts: Uint8Array[] = [];
  let held = 0;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done || value === undefined) {
        return undefined;
      }
      const end = value.indexOf(0x0a);
      parts.push(end < 0 ? value : value.subarray(0, end));
      held += value.length;
      if (held > limitBytes) {
        throw new AgentError('USAGE', `A request has more than ${limitBytes} bytes`, {
          hint: 'Ask for less at once',
        });
      }
      if (end >= 0) {
        return Buffer.concat(parts).toString('utf8');
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
