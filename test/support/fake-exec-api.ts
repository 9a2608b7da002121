/** The exec part of the Kubernetes API over real TLS, for what a real one does not do on demand. */
import type { ServerWebSocket } from 'bun';
import { makeCertificates, type TestCertificates } from './tls.ts';

export interface ExecSession {
  readonly query: URLSearchParams;
  /** Sends bytes on a channel. */
  send(channel: number, data: string | Uint8Array): void;
  /** Sends the Status of the end and closes, as Kubernetes does. */
  end(status: unknown): void;
  /** Drops the connection without a close frame. */
  drop(): void;
}

export interface FakeExecApi extends AsyncDisposable {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Versions that it speaks. */
  protocols: readonly string[];
  /** Tokens that it accepts. */
  readonly tokens: Set<string>;
  /** Answers an upgrade with this status instead. */
  refuseWith: number | undefined;
  /** Never answers an upgrade. */
  silent: boolean;
  /** What the program does when it starts, and when something comes. */
  onStart: (session: ExecSession) => void;
  onMessage: (session: ExecSession, channel: number, data: string) => void;
  /** Protocol of each stream that was opened. */
  readonly opened: string[];
  /** How many streams the other side has closed or dropped. */
  readonly closed: () => number;
}

let certificates: Promise<TestCertificates> | undefined;

export async function startFakeExecApi(): Promise<FakeExecApi> {
  certificates ??= makeCertificates(['127.0.0.1']);
  const { ca, cert, key } = await certificates;
  const opened: string[] = [];
  let closed = 0;
  const sessionOf = (socket: ServerWebSocket<URLSearchParams>): ExecSession => ({
    query: socket.data,
    send: (channel, data) =>
      void socket.send(Buffer.concat([Uint8Array.of(channel), Buffer.from(data as string)])),
    end: (status) => {
      socket.send(Buffer.concat([Uint8Array.of(3), Buffer.from(JSON.stringify(status))]));
      socket.close(1000, '');
    },
    drop: () => socket.terminate(),
  });
  const server = Bun.serve<URLSearchParams>({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    tls: { cert, key },
    fetch: async (request, self) => {
      if (fake.silent) {
        return await new Promise<Response>(() => undefined);
      }
      const token = request.headers.get('authorization')?.replace(/^Bearer /, '') ?? '';
      if (!fake.tokens.has(token)) {
        return new Response('', { status: 401 });
      }
      const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(/,\s*/);
      const protocol = offered.find((each) => fake.protocols.includes(each));
      if (fake.refuseWith !== undefined || protocol === undefined) {
        return new Response('', { status: fake.refuseWith ?? 403 });
      }
      const { searchParams } = new URL(request.url);
      const headers = { 'sec-websocket-protocol': protocol };
      self.upgrade(request, { headers, data: searchParams });
      opened.push(protocol);
      return undefined;
    },
    websocket: {
      open: (socket) => fake.onStart(sessionOf(socket)),
      message: (socket, message) => {
        const bytes = Buffer.from(message as Buffer);
        fake.onMessage(sessionOf(socket), bytes[0] ?? -1, bytes.subarray(1).toString('latin1'));
      },
      close: () => {
        closed += 1;
      },
    },
  });
  const fake: FakeExecApi = {
    url: `https://127.0.0.1:${server.port}`,
    ca,
    protocols: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
    tokens: new Set(['good']),
    refuseWith: undefined,
    silent: false,
    onStart: () => undefined,
    onMessage: () => undefined,
    opened,
    closed: () => closed,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
  return fake;
}
