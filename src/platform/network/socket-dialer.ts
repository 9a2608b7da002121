/** Sockets to a server: the name resolved anew each time, through a proxy where there is one. */
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type ProxyServer, proxyFor } from '../../core/proxy-settings.ts';
import { firstAddress, isAddress, SOCKET_TIMEOUT_MS, type Target, targetOf } from './addresses.ts';
import { proxyAnswerError, proxyError } from './dial-error.ts';
import type { DialOptions } from './dial-options.ts';
import { passProxy } from './proxy-handshake.ts';

/**
 * Connects to the host of an http, https, ws or wss address; over TLS where the scheme says so.
 * Nothing is remembered from one call to the next.
 */
export async function dialSocket(address: URL, options: DialOptions): Promise<Socket> {
  const target = targetOf(address);
  const way = proxyFor(address, options.proxy) === undefined ? '' : ' through the proxy';
  let current: Socket | undefined;
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    current?.destroy();
    expired.reject(new Error(`no connection${way} in ${SOCKET_TIMEOUT_MS / 1_000} s`));
  }, SOCKET_TIMEOUT_MS);
  const use = (socket: Socket) => {
    current = socket;
    return socket;
  };
  try {
    return await Promise.race([connectThrough(address, target, options, use), expired.promise]);
  } catch (thrown) {
    current?.destroy();
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

async function connectThrough(
  address: URL,
  target: Target,
  options: DialOptions,
  use: (socket: Socket) => Socket,
): Promise<Socket> {
  const proxy = proxyFor(address, options.proxy);
  if (proxy === undefined) {
    const direct = use(await connectTcp(target, use));
    return target.secure ? use(await startTls(direct, target.host, options.ca)) : direct;
  }
  const outer = await connectToProxy(proxy, options.ca, use).catch((thrown: unknown) => {
    throw proxyError(thrown, proxy, options);
  });
  await passProxy(outer, proxy, target).catch((thrown: unknown) => {
    throw proxyAnswerError(thrown, options);
  });
  return target.secure ? use(await startTls(outer, target.host, options.ca)) : outer;
}

async function connectToProxy(
  proxy: ProxyServer,
  ca: string | undefined,
  use: (socket: Socket) => Socket,
): Promise<Socket> {
  const socket = use(await connectTcp(proxy, use));
  // A proxy has a public certificate or the same private CA as the control plane.
  return proxy.kind === 'https' ? use(await startTls(socket, proxy.host, ca)) : socket;
}

/** Tries each address of the name in turn. */
async function connectTcp(
  target: Pick<Target, 'host' | 'port'>,
  use: (socket: Socket) => Socket,
): Promise<Socket> {
  return await firstAddress(target.host, async (host, timeoutMs) => {
    const socket = use(connect({ host, port: target.port, noDelay: true }));
    try {
      await connected(socket, 'connect', timeoutMs);
      return socket;
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    }
  });
}

async function startTls(socket: Socket, host: string, ca: string | undefined): Promise<Socket> {
  const secured = tlsConnect({
    socket,
    // An address is not a server name (RFC 6066 section 3); its certificate is still checked.
    ...(isAddress(host) ? { host } : { servername: host }),
    ...(ca === undefined ? {} : { ca }),
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
  });
  await connected(secured, 'secureConnect', SOCKET_TIMEOUT_MS);
  return secured;
}

function connected(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const what =
      event === 'connect' ? 'no answer' : 'it takes the connection, but no answer to TLS';
    const silent = new Error(`${what} in ${timeoutMs / 1_000} s`);
    const timer = setTimeout(() => settle(silent), timeoutMs);
    const onClose = () => settle(new Error('the connection was closed'));
    const settle = (error?: Error) => {
      clearTimeout(timer);
      socket.off(event, onReady).off('error', settle).off('close', onClose);
      // A socket that fails later must not end the process before someone listens.
      socket.on('error', () => undefined);
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    };
    const onReady = () => settle();
    socket.once(event, onReady).once('error', settle).once('close', onClose);
  });
}
