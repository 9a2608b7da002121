/** Requests to the clusters of agents, through their sessions: the peer of the agent's proxy bridge. */
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import {
  PROXY_CHUNK_BYTES,
  PROXY_WINDOW_BYTES,
  ProxyResponseChunkPayload,
  ProxyResponseHeaderPayload,
  ProxyWindowPayload,
} from '../../../src/protocol/session/proxy.ts';
import type { AgentLink, DataPlanePeer } from './agent-link.ts';
import { readBinaryAnswer } from './binary-answer.ts';
import { wholeAnswer } from './whole-answer.ts';

/** `proxy_error` and `proxy_response_abort`; `code` is one of docs/TROUBLESHOOTING.md. */
const ProxyErrorPayload = z.strictObject({
  error: z.string(),
  code: z.string().optional(),
  request_id: z.string().optional(), // Of a WebSocket that was refused.
});

export interface ClusterRequest {
  readonly method: string;
  /** Raw. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly hasBody: boolean;
  /** Behind a 101 the bytes are those of another protocol. */
  readonly upgrade: boolean;
}

/**
 * unread: the agent is stopping, and has not looked at it. lost: the connection ended before the answer began, and
 * nobody knows.
 */
export type FailureKind = 'unread' | 'lost' | 'other';

/** Who receives an answer. Exactly one of `end` and `fail` comes last. */
export interface ClusterAnswer {
  head(status: number, headers: Readonly<Record<string, readonly string[]>>): void;
  /** @returns false when it must be told with `consumed` later; else it has been consumed */
  data(chunk: Buffer): boolean;
  end(): void;
  fail(error: string, kind: FailureKind): void;
  /** There is room again after `write` returned false. */
  drained(): void;
}

export interface ClusterCall {
  /** @returns false when the caller must wait for `drained` */
  write(chunk: Buffer): boolean;
  endRequest(): void;
  /** The reader has taken what `data` returned false for. */
  consumed(): void;
  cancel(): void;
}

export interface ProxyPlane extends DataPlanePeer {
  /** @returns undefined when the agent has no connection, or is stopping */
  request(agentId: string, request: ClusterRequest, answer: ClusterAnswer): ClusterCall | undefined;
}

/** Windows are opened again when this much of them has been used, bytes. */
const WINDOW_STEP_BYTES = PROXY_WINDOW_BYTES / 2;

const TYPES = [
  ...['proxy_response', 'proxy_response_header', 'proxy_response_chunk', 'proxy_response_end'],
  ...['proxy_response_abort', 'proxy_error', 'proxy_window'],
];

export interface ProxyPlaneDeps {
  /** What an agent gave at its registration. */
  readonly serviceToken: (agentId: string) => string | undefined;
  /** Both sides announced `supports_flow_control`: an agent that did not opens no window. */
  readonly isWindowed: (agentId: string) => boolean;
  /** An agent did something against the protocol. */
  readonly problem: (agentId: string, text: string) => void;
}

export function proxyPlane(deps: ProxyPlaneDeps): ProxyPlane {
  const sessions = new Map<string, Session>();
  return {
    types: TYPES,
    attach: (link) => {
      const session = new Session(link, deps);
      sessions.set(link.agentId, session);
      return {
        message: ({ type, request_id, payload }) =>
          session.message(type, request_id ?? '', payload ?? {}),
        binary: (data) => session.binary(data),
        close: () => {
          if (sessions.get(link.agentId) === session) {
            sessions.delete(link.agentId);
          }
          session.close();
        },
      };
    },
    request: (agentId, request, answer) => sessions.get(agentId)?.request(request, answer),
  };
}

class Session {
  readonly #link: AgentLink;
  readonly #deps: ProxyPlaneDeps;
  readonly #windowed: boolean;
  readonly #calls = new Map<string, Call>();
  #next = 1;
  /** It has refused a request because it is stopping. */
  #isLeaving = false;

  constructor(link: AgentLink, deps: ProxyPlaneDeps) {
    this.#link = link;
    this.#deps = deps;
    this.#windowed = deps.isWindowed(link.agentId);
  }

  request(request: ClusterRequest, answer: ClusterAnswer): ClusterCall | undefined {
    if (this.#isLeaving) {
      return undefined;
    }
    const id = `p${this.#next}`;
    this.#next += 1;
    const call = new Call(
      { link: this.#link, id, answer, over: () => this.#calls.delete(id) },
      { upgrade: request.upgrade, windowed: this.#windowed },
    );
    this.#calls.set(id, call);
    const { Authorization: _, authorization: __, ...headers } = request.headers;
    const payload = {
      method: request.method,
      path: request.path,
      query: request.query,
      headers: {
        ...headers,
        Authorization: [`Bearer ${this.#deps.serviceToken(this.#link.agentId) ?? ''}`],
      },
      supports_response_streaming: true,
      ...(request.hasBody ? { use_streaming: true } : {}),
      ...(request.upgrade ? { raw_upgrade: true } : {}),
    };
    if (!this.#link.send('proxy_request', payload, id)) {
      this.#calls.delete(id);
      return undefined;
    }
    return call;
  }

  message(type: string, id: string, payload: unknown): void {
    const call = this.#calls.get(id);
    switch (type) {
      case 'proxy_response': {
        const { status, headers, body = '', encoding } = wholeAnswer(payload);
        const bytes = Buffer.from(body, 'base64');
        call?.whole(status, headers ?? {}, encoding === 'gzip' ? gunzipSync(bytes) : bytes);
        break;
      }
      case 'proxy_response_header': {
        const { status, headers } = ProxyResponseHeaderPayload.parse(payload);
        call?.head(status, headers ?? {});
        break;
      }
      case 'proxy_response_chunk': {
        const { data } = ProxyResponseChunkPayload.parse(payload);
        call?.data(Buffer.from(data, 'base64'));
        break;
      }
      case 'proxy_response_end':
        call?.end();
        break;
      case 'proxy_window':
        call?.windowOpened(ProxyWindowPayload.parse(payload).bytes);
        break;
      default: {
        const { error, code } = ProxyErrorPayload.parse(payload);
        const isUnread = type === 'proxy_error' && code === 'SHUTTING_DOWN';
        this.#isLeaving ||= isUnread;
        call?.fail(error, isUnread ? 'unread' : 'other');
      }
    }
  }

  /** A large answer of an agent without yamux. */
  binary(data: Uint8Array): void {
    try {
      const { id, status, headers, body } = readBinaryAnswer(data);
      this.#calls.get(id)?.whole(status, headers, body);
    } catch (thrown) {
      this.#deps.problem(this.#link.agentId, `a binary message: ${thrown}`);
    }
  }

  close(): void {
    for (const call of [...this.#calls.values()]) {
      call.fail('the agent lost its connection', 'lost');
    }
  }
}

class Call implements ClusterCall {
  readonly #link: AgentLink;
  readonly #id: string;
  readonly #upgrade: boolean;
  readonly #windowed: boolean;
  readonly #answer: ClusterAnswer;
  readonly #over: () => void;
  #isOver = false;
  #hasHead = false;
  /** Body bytes that the agent still takes. */
  #windowBytes: number;
  #unsent: Buffer[] = [];
  #requestWhole = false;
  /** Bytes of the answer that were passed on, and that the reader has not taken yet. */
  #usedBytes = 0;
  #heldBytes = 0;

  constructor(
    ends: {
      readonly link: AgentLink;
      readonly id: string;
      readonly answer: ClusterAnswer;
      readonly over: () => void;
    },
    { upgrade, windowed }: { readonly upgrade: boolean; readonly windowed: boolean },
  ) {
    this.#link = ends.link;
    this.#id = ends.id;
    this.#answer = ends.answer;
    this.#over = ends.over;
    this.#upgrade = upgrade;
    this.#windowed = windowed;
    this.#windowBytes = windowed ? PROXY_WINDOW_BYTES : Number.POSITIVE_INFINITY;
  }

  write(chunk: Buffer): boolean {
    this.#unsent.push(chunk);
    return this.#send();
  }

  endRequest(): void {
    this.#requestWhole = true;
    this.#send();
  }

  consumed(): void {
    this.#usedBytes += this.#heldBytes;
    this.#heldBytes = 0;
    this.#openWindow();
  }

  cancel(): void {
    if (!this.#isOver) {
      this.#link.send('proxy_cancel', {}, this.#id);
      this.#finish();
    }
  }

  head(status: number, headers: Readonly<Record<string, readonly string[]>>): void {
    this.#hasHead = true;
    this.#answer.head(status || 200, headers); // 0 of an existing agent means 200.
  }

  data(chunk: Buffer): void {
    if (this.#answer.data(chunk)) {
      this.#usedBytes += chunk.length;
      this.#openWindow();
    } else {
      this.#heldBytes += chunk.length;
    }
  }

  /** An existing agent may have ended what it has not begun. */
  end(): void {
    if (!this.#hasHead) {
      this.fail('the agent ended an answer without a head', 'other');
      return;
    }
    this.#finish();
    this.#answer.end();
  }

  whole(status: number, headers: Readonly<Record<string, readonly string[]>>, body: Buffer): void {
    this.#finish();
    this.#answer.head(status || 200, headers);
    if (body.length > 0) {
      this.#answer.data(body);
    }
    this.#answer.end();
  }

  fail(error: string, kind: FailureKind): void {
    this.#finish();
    this.#answer.fail(error, this.#hasHead ? 'other' : kind);
  }

  windowOpened(bytes: number): void {
    this.#windowBytes += bytes;
    if (this.#send()) {
      this.#answer.drained();
    }
  }

  #openWindow(): void {
    if (this.#windowed && this.#usedBytes >= WINDOW_STEP_BYTES && !this.#isOver) {
      this.#link.send('proxy_window', { bytes: this.#usedBytes }, this.#id);
      this.#usedBytes = 0;
    }
  }

  /** @returns whether everything has been sent */
  #send(): boolean {
    while (this.#windowBytes > 0 && !this.#isOver) {
      const chunk = this.#unsent.shift();
      if (chunk === undefined) {
        break;
      }
      const piece = chunk.subarray(0, Math.min(PROXY_CHUNK_BYTES, this.#windowBytes));
      if (piece.length < chunk.length) {
        this.#unsent.unshift(chunk.subarray(piece.length));
      }
      this.#windowBytes -= piece.length;
      this.#link.send('proxy_request_chunk', { data: piece.toString('base64') }, this.#id);
    }
    const all = this.#unsent.length === 0;
    if (all && this.#requestWhole && !this.#isOver) {
      this.#requestWhole = false;
      this.#link.send('proxy_request_stream_end', {}, this.#id);
      if (this.#upgrade) {
        this.#finish();
      }
    }
    return all;
  }

  #finish(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#over();
    }
  }
}
