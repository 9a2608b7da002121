/** How a socket to a proxy becomes a socket to the server behind it. */
import type { Socket } from 'node:net';
import type { ProxyCredentials, ProxyServer } from '../../core/proxy-settings.ts';
import { hostAndPort } from '../../core/text/host-and-port.ts';
import { encodeRequestHead, type HeaderList } from '../../http1/head.ts';
import type { Target } from './addresses.ts';

/** Longest answer of a proxy before its connection is ours, bytes. */
const ANSWER_LIMIT_BYTES = 16 * 1024;

/** @throws Error that says what the proxy answered */
export async function passProxy(socket: Socket, proxy: ProxyServer, target: Target): Promise<void> {
  const reader = exactReader(socket);
  try {
    await (proxy.kind === 'socks5'
      ? socks5(socket, reader, proxy, target)
      : httpConnect(socket, reader, proxy, target));
    if (reader.heldBytes() > 0) {
      throw new Error('the proxy sent more than its answer'); // The server never speaks first.
    }
  } finally {
    reader.release();
  }
}

/** CONNECT (RFC 9110 section 9.3.6). */
async function httpConnect(
  socket: Socket,
  reader: ExactReader,
  proxy: ProxyServer,
  target: Target,
): Promise<void> {
  const authority = hostAndPort(target.host, target.port);
  const { credentials } = proxy;
  const own: HeaderList = credentials === undefined ? [] : [basicAuthorization(credentials)];
  socket.write(encodeRequestHead('CONNECT', authority, [['Host', authority], ...own]));
  const head = (await reader.until('\r\n\r\n')).toString('latin1');
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
  if (status === undefined || !status.startsWith('2')) {
    throw new Error(
      status === '407'
        ? 'the proxy asks for credentials'
        : `the proxy answered ${status ?? 'something that is not HTTP'}`,
    );
  }
}

function basicAuthorization({ user, password }: ProxyCredentials): readonly [string, string] {
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  return ['Proxy-Authorization', `Basic ${basic}`];
}

const SOCKS_VERSION = 5;
const NO_CREDENTIALS = 0;
const USER_AND_PASSWORD = 2;
const CONNECT = 1;
const DOMAIN_NAME = 3;
/** RFC 1928 section 5, RFC 1929 section 2. */
const SOCKS_TEXT_BYTES_MAX = 255;
/** What follows the head of the reply, by type of address, without the port. */
const REPLY_ADDRESS_BYTES: Readonly<Record<number, number>> = { 1: 4, 4: 16 };
/** RFC 1928 section 6. */
const SOCKS_REPLIES: Readonly<Record<number, string>> = {
  1: 'it failed',
  2: 'its rules forbid it',
  3: 'the network is unreachable',
  4: 'the host is unreachable',
  5: 'the connection was refused',
  6: 'it took too long',
};

/** RFC 1928, with RFC 1929 where there are credentials. The proxy resolves the name. */
async function socks5(
  socket: Socket,
  reader: ExactReader,
  proxy: ProxyServer,
  target: Target,
): Promise<void> {
  const method = proxy.credentials === undefined ? NO_CREDENTIALS : USER_AND_PASSWORD;
  socket.write(Uint8Array.of(SOCKS_VERSION, 1, method));
  const chosen = await reader.exactly(2);
  if (chosen[0] !== SOCKS_VERSION || chosen[1] !== method) {
    throw new Error(
      method === NO_CREDENTIALS
        ? 'the proxy asks for credentials'
        : 'the proxy does not take user and password',
    );
  }
  if (proxy.credentials !== undefined) {
    const { user, password } = proxy.credentials;
    const names = [withLength('the user name', user), withLength('the password', password)];
    socket.write(Buffer.concat([Buffer.of(1), ...names]));
    if ((await reader.exactly(2))[1] !== 0) {
      throw new Error('the proxy does not accept the credentials');
    }
  }
  const host = withLength('the name of the host', target.host);
  const port = Buffer.of(target.port >> 8, target.port & 0xff);
  socket.write(Buffer.concat([Buffer.of(SOCKS_VERSION, CONNECT, 0, DOMAIN_NAME), host, port]));
  const [, reply = 1, , addressType = 1] = await reader.exactly(4);
  if (reply !== 0) {
    throw new Error(`the proxy does not connect: ${SOCKS_REPLIES[reply] ?? `reply ${reply}`}`);
  }
  const length = REPLY_ADDRESS_BYTES[addressType] ?? (await reader.exactly(1))[0] ?? 0;
  await reader.exactly(length + 2);
}

/**
 * One byte holds the length. A longer text would get a wrong one, and its rest would be read as the
 * next message.
 */
function withLength(what: string, text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length === 0 || bytes.length > SOCKS_TEXT_BYTES_MAX) {
    throw new Error(
      `${what} has ${bytes.length} bytes, and SOCKS takes 1 to ${SOCKS_TEXT_BYTES_MAX}`,
    );
  }
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

interface ExactReader {
  exactly(length: number): Promise<Buffer>;
  /** Up to and including the mark. */
  until(mark: string): Promise<Buffer>;
  heldBytes(): number;
  /** Lets go of the socket, which goes on flowing. */
  release(): void;
}

function exactReader(socket: Socket): ExactReader {
  let held = Buffer.alloc(0);
  let failure: Error | undefined;
  let wake: () => void = () => undefined;
  const onData = (data: Buffer) => {
    held = Buffer.concat([held, data]);
    wake();
  };
  const fail = () => {
    failure ??= new Error('the proxy closed the connection');
    wake();
  };
  socket.on('data', onData).on('error', fail).on('close', fail).on('end', fail);
  const take = async (measure: () => number): Promise<Buffer> => {
    for (;;) {
      const length = measure();
      if (length >= 0 && held.length >= length) {
        const taken = held.subarray(0, length);
        held = held.subarray(length);
        return taken;
      }
      if (failure !== undefined) {
        throw failure;
      }
      if (held.length > ANSWER_LIMIT_BYTES) {
        throw new Error('the proxy answered too much');
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    exactly: (length) => take(() => length),
    until: (mark) =>
      take(() => {
        const at = held.indexOf(mark);
        return at < 0 ? -1 : at + mark.length;
      }),
    heldBytes: () => held.length,
    release: () => {
      socket.off('data', onData).off('error', fail).off('close', fail).off('end', fail);
    },
  };
}
