/** Walks the way to a server step by step, and says how far it came. */
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { networkTrouble } from '../../core/network-trouble.ts';
import type { HttpAnswer, ShownCertificate, Step, StepName, Walk, Way } from '../../core/probe.ts';
import { systemCode } from '../../core/text/system-words.ts';
import { isAddress, targetOf } from './addresses.ts';
import { askServer } from './ask-server.ts';
import { passProxy } from './proxy-handshake.ts';
import { RefusedChain, shownChain } from './shown-certificate.ts';

/** Nothing came for as long as the step may take. */
class Silent extends Error {}

/** The failure is noted; nothing more can be done on this way. */
class Ended extends Error {}

/** Never throws. Leaves no socket open. */
export async function walk(way: Way, signal: AbortSignal): Promise<Walk> {
  const walker = new Walker(way, signal);
  let certificate: ShownCertificate | undefined;
  let answer: HttpAnswer | undefined;
  try {
    const target = targetOf(way.url);
    let socket = await walker.reach();
    if (target.secure) {
      const plain = socket;
      const secured = await walker.take('tls', async () =>
        walker.secure(plain, target.host, false),
      );
      const shown = shownChain(secured);
      certificate = shown.certificate;
      if (shown.refusal !== undefined && walker.refuse(shown.refusal) !== 'time') {
        return walker.told(certificate, undefined);
      }
      socket = secured;
    }
    const step = way.ask === 'websocket' ? 'websocket' : 'http';
    answer = await walker.take(step, () => askServer(socket, way));
  } catch (thrown) {
    if (!(thrown instanceof Ended)) {
      throw thrown;
    }
  } finally {
    walker.close();
  }
  return walker.told(certificate, answer);
}

class Walker {
  readonly #way: Way;
  readonly #signal: AbortSignal;
  readonly #steps: Step[] = [];
  readonly #sockets: Socket[] = [];
  #failure: Walk['failure'];

  constructor(way: Way, signal: AbortSignal) {
    this.#way = way;
    this.#signal = signal;
  }

  /** To the server, or to the proxy and through it. */
  async reach(): Promise<Socket> {
    const { url, address, proxy } = this.#way;
    const target = targetOf(url);
    const { port } = proxy ?? target;
    const socket = await this.take('tcp', () =>
      this.#becomes(connect({ host: address, port, noDelay: true }), 'connect'),
    );
    if (proxy === undefined) {
      return socket;
    }
    return await this.take('proxy', async () => {
      const outer = proxy.kind === 'https' ? await this.secure(socket, proxy.host, true) : socket;
      await passProxy(outer, proxy, target);
      return outer;
    });
  }

  /** @param verified false: whoever answers, so that it is seen who does */
  async secure(socket: Socket, host: string, verified: boolean) {
    const { ca, beginsSmall } = this.#way;
    const secured = tlsConnect({
      socket,
      rejectUnauthorized: verified,
      // An address is not a server name (RFC 6066 section 3); its certificate is still checked.
      ...(isAddress(host) ? { host } : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
      ...(beginsSmall ? { ecdhCurve: 'X25519' } : {}),
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
    });
    return await this.#becomes(secured, 'secureConnect');
  }

  /** @throws Ended when it fails, or takes too long */
  async take<T>(step: StepName, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const takenMs = () => Math.round(performance.now() - startedAt);
    const silent = Promise.withResolvers<never>();
    const onTime = () => silent.reject(new Silent(silence(step, takenMs())));
    const timer = setTimeout(onTime, this.#way.stepLimitMs);
    this.#signal.addEventListener('abort', onTime, { once: true });
    if (this.#signal.aborted) {
      onTime();
    }
    try {
      const result = await Promise.race([work(), silent.promise]);
      this.#steps.push({ step, ms: takenMs() });
      return result;
    } catch (thrown) {
      this.#note({ step, ms: takenMs() }, thrown);
      throw new Ended();
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', onTime);
    }
  }

  /** The last step led somewhere, but not to whom it should. */
  refuse(refusal: Error) {
    const step = this.#steps.pop() ?? { step: 'tls', ms: 0 };
    return this.#note(step, refusal);
  }

  told(certificate: ShownCertificate | undefined, answer: HttpAnswer | undefined): Walk {
    return { steps: this.#steps, failure: this.#failure, certificate, answer };
  }

  close(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  /** The first failure counts. */
  #note(step: Step, thrown: unknown) {
    const { ca, proxy } = this.#way;
    const way = { ownCa: ca !== undefined, proxy: proxy === undefined ? '' : proxy.host };
    const { kind: known, why } = networkTrouble(thrown, way, refusedIn(thrown));
    const kind = step.step === 'proxy' && known === 'other' ? 'proxy' : known;
    const refused = systemCode(thrown) === 'ECONNREFUSED' ? { isRefused: true as const } : {};
    this.#failure ??= { ...step, kind, why, isSilent: thrown instanceof Silent, ...refused };
    return kind;
  }

  #becomes<S extends Socket>(socket: S, event: 'connect' | 'secureConnect'): Promise<S> {
    this.#sockets.unshift(socket);
    return new Promise((resolve, reject) => {
      socket.once(event, () => resolve(socket));
      // It stays: a socket that fails later must not end the process.
      socket.on('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed')));
    });
  }
}

function silence(step: StepName, ms: number): string {
  const after = `no answer in ${(ms / 1_000).toFixed(1)} s`;
  switch (step) {
    case 'tls':
      return `it takes the connection, but to TLS ${after}`;
    case 'http':
    case 'websocket':
      return `it takes the request, but ${after}`;
    default:
      return after;
  }
}

function refusedIn(thrown: unknown) {
  return thrown instanceof RefusedChain ? thrown.refused : undefined;
}
