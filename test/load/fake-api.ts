/** An API server in the same process, behind real connections of the proxy over sockets without a network. */

import type { UpstreamConnection as Upstream } from '../../src/http1/client/connection.ts';
import { UpstreamConnection } from '../../src/http1/client/connection.ts';
import type { UpstreamPool } from '../../src/http1/client/pool.ts';
import { headRoom } from '../../src/http1/head-room.ts';
import { KUBERNETES_PEER } from '../../src/proxy/kubernetes-destination.ts';
import { cutAnywhere, type Draw } from './draw.ts';
import { FakeSocket } from './fake-socket.ts';
import { readRequest, type StrictAnswer, type StrictRequest } from './strict-http.ts';

/** More than what is joined into one write, or copied into one chunk. */
const LARGE_WORDS = 8_000;

/** A request as it came here; it may not be whole. */
export interface SeenRequest extends StrictRequest {
  /** Behind an upgrade. */
  rest: string;
}

export class FakeApi {
  /** In the order in which they began. */
  readonly seen: SeenRequest[] = [];
  /** Heads that a strict reader does not take. */
  readonly unreadable: string[] = [];
  readonly #draw: Draw;
  readonly #now: () => number;
  readonly #sockets = new Set<FakeSocket>();
  readonly #connections = new Set<Upstream>();
  readonly #idle: Upstream[] = [];

  constructor(draw: Draw, now: () => number) {
    this.#draw = draw;
    this.#now = now;
  }

  readonly pool: UpstreamPool = {
    acquire: () => this.#idle.pop() ?? this.#connect(),
    fresh: async () => this.#connect(),
    connections: () => this.#connections.size,
    close: () => undefined,
  };

  /** Connections that carry a request. */
  get busy(): number {
    return this.#connections.size - this.#idle.length;
  }

  /** Lets one thing happen at one of the sockets. @returns false when nothing can */
  step(): boolean {
    for (const socket of this.#sockets) {
      if (socket.step()) {
        return true;
      }
    }
    return false;
  }

  checkSilence(): void {
    for (const connection of [...this.#connections]) {
      connection.checkSilence();
    }
  }

  #connect(): Upstream {
    const served = new ServedConnection(this.#draw, this);
    const { socket } = served;
    const connection = new UpstreamConnection(
      socket as never,
      {
        now: this.#now,
        headRoom: headRoom(),
        idle: (idle) => void this.#idle.push(idle),
        closed: (closed) => {
          this.#connections.delete(closed);
          this.#sockets.delete(socket);
          const at = this.#idle.indexOf(closed);
          if (at !== -1) {
            this.#idle.splice(at, 1);
          }
        },
      },
      KUBERNETES_PEER,
    );
    socket.owner = {
      received: (bytes) => connection.received(bytes),
      drained: () => connection.flush(),
      closed: () => connection.ended(),
    };
    this.#connections.add(connection);
    this.#sockets.add(socket);
    return connection;
  }
}

/** Reads what came strictly, and answers. */
class ServedConnection {
  readonly socket: FakeSocket;
  readonly #draw: Draw;
  readonly #api: Pick<FakeApi, 'seen' | 'unreadable'>;
  /** Where the next request begins. */
  #at = 0;
  /** Its number among those seen, once it has begun. */
  #index: number | undefined;
  #isSwitched = false;
  #isAnswered = false;

  constructor(draw: Draw, api: Pick<FakeApi, 'seen' | 'unreadable'>) {
    this.#draw = draw;
    this.#api = api;
    this.socket = new FakeSocket(draw, () => this.#look());
  }

  #look(): void {
    while (this.#at < this.socket.sent.length) {
      if (this.#isSwitched) {
        this.#echo();
        return;
      }
      const request = readRequest(this.socket.sent, this.#at);
      if (request === undefined) {
        const begun = this.socket.sent.slice(this.#at);
        if (begun.includes('\r\n\r\n')) {
          this.#api.unreadable.push(begun);
        }
        return;
      }
      this.#index ??= this.#api.seen.length;
      this.#api.seen[this.#index] = { ...request, rest: '' };
      const isEarly = kindOf(request.target) === 'early';
      if (!this.#isAnswered && (request.end !== undefined || isEarly)) {
        this.#isAnswered = true;
        this.socket.arrive(...cutAnywhere(this.#draw, Buffer.from(answerText(request), 'latin1')));
        if (endsWithConnection(request)) {
          this.socket.arrive('end');
        }
      }
      if (request.end === undefined) {
        return;
      }
      this.#at = request.end;
      this.#isSwitched = isSwitch(request);
      this.#isAnswered = false;
      this.#index = this.#isSwitched ? this.#index : undefined;
    }
  }

  #echo(): void {
    const bytes = this.socket.sent.slice(this.#at);
    this.#at = this.socket.sent.length;
    const request = this.#api.seen[this.#index ?? 0];
    if (request !== undefined) {
      request.rest += bytes;
    }
    this.socket.arrive(Buffer.from(bytes, 'latin1'));
  }
}

const kindOf = (target: string) => target.split('/')[1] ?? '';
const isSwitch = ({ target, upgrade }: StrictRequest) => upgrade && kindOf(target) === 'switch';
const endsWithConnection = ({ target }: StrictRequest) => kindOf(target) === 'end';
const bodyOf = ({ target }: StrictRequest) =>
  `answer to ${target}${kindOf(target) === 'large' ? ' more'.repeat(LARGE_WORDS) : ''}`;

/** @param request as it came here. @returns what its caller must see of the answer */
export function answerTo(request: StrictRequest): Omit<StrictAnswer, 'headers'> {
  const body = request.method === 'HEAD' ? '' : bodyOf(request);
  switch (kindOf(request.target)) {
    case 'chunks':
    case 'large':
      return { status: 200, body, trailers: request.method === 'HEAD' ? [] : [['X-Sum', '9']] };
    case 'empty':
      return { status: 204, body: '', trailers: [] };
    case 'same':
      return { status: 304, body: '', trailers: [] };
    case 'early':
      return { status: 413, body, trailers: [] };
    case 'switch':
      return request.upgrade
        ? { status: 101, body: '', trailers: [] }
        : { status: 200, body, trailers: [] };
    case 'refuse':
      return { status: 403, body, trailers: [] };
    default:
      return { status: 200, body, trailers: [] };
  }
}

function answerText(request: StrictRequest): string {
  const { status, body } = answerTo(request);
  const head = `HTTP/1.1 ${status} As asked\r\n`;
  const length = `Content-Length: ${bodyOf(request).length}\r\n`;
  switch (kindOf(request.target)) {
    case 'chunks':
    case 'large': {
      const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Sum: 9\r\n\r\n`;
      return `${head}Transfer-Encoding: chunked\r\n\r\n${request.method === 'HEAD' ? '' : chunk}`;
    }
    case 'end':
      return `${head}Connection: close\r\n\r\n${body}`;
    case 'empty':
      return `${head}\r\n`;
    case 'news':
      return `HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n${head}${length}\r\n${body}`;
    case 'switch':
      return request.upgrade ? `${head}Upgrade: x\r\n\r\n` : `${head}${length}\r\n${body}`;
    default:
      return `${head}${length}\r\n${body}`;
  }
}
