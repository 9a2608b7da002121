/**
 * HTTP requests through the session: the `proxy_*` messages of the WebSocket protocol. All of them
 * carry the id of their request in `request_id` of the envelope.
 *
 * peer → agent: `proxy_request`, then with `use_streaming` any number of `proxy_request_chunk` and one
 * `proxy_request_stream_end`; `proxy_cancel` at any time.
 * agent → peer: one `proxy_response`, or with `supports_response_streaming` one
 * `proxy_response_header`, any number of `proxy_response_chunk` and one `proxy_response_end`. A
 * failure is `proxy_error` or `proxy_response_abort` {error, code}: a code of docs/TROUBLESHOOTING.md.
 *
 * Ours, where both sides announced `supports_flow_control`: `proxy_window` {bytes} in both
 * directions allows the other side that many more body bytes; it begins with
 * PROXY_WINDOW_BYTES. An answer of at most PROXY_CHUNK_BYTES that is whole at once may come as one
 * `proxy_response` although a streamed one was asked for. And `raw_upgrade` in a request: behind a
 * header with status 101 the chunks of both directions are the bytes of the other protocol.
 */
import * as z from 'zod';
import type { HeaderList } from '../../http1/head.ts';
import { idOf } from '../foreign-values.ts';
import { isDeadline, isTimeout } from './request-limit.ts';

/** Body bytes of one message, before base64; the existing agent sends as many. */
export const PROXY_CHUNK_BYTES = 32 * 1024;
/** Body bytes that may be under way in one direction of one request without `proxy_window`. */
export const PROXY_WINDOW_BYTES = 1024 * 1024;
/** Largest body of a `proxy_response`: a peer that does not stream holds it as a whole, bytes. */
export const BUFFERED_ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Characters of a request's parts. */
export const METHOD_LENGTH_MAX = 32;
export const PATH_LENGTH_MAX = 16 * 1024;
export const QUERY_LENGTH_MAX = 64 * 1024;
export const PORT_MAX = 65_535;

const text = z.string();
/**
 * Each header is a text or a list of texts; null means none.
 * @returns undefined when a value has another type: dropping it could lose a precondition
 */
export function headersOf(all: unknown): HeaderList | undefined {
  const list: (readonly [string, string])[] = [];
  if (all === undefined || all === null) {
    return list;
  }
  if (typeof all !== 'object' || Array.isArray(all)) {
    return undefined;
  }
  for (const [name, value] of Object.entries(all)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === 'string') {
        list.push([name, each]);
      } else if (value !== null) {
        return undefined;
      }
    }
  }
  return list;
}
const headers = z
  .unknown()
  .optional()
  .transform((value, context) => {
    const list = headersOf(value);
    if (list === undefined) {
      context.addIssue({ code: 'custom', message: 'must be texts and lists of texts by name' });
      return z.NEVER;
    }
    return list;
  });
/** Null is as good as absent: an empty value of a peer in Go. */
function optional<T>(schema: z.ZodType<T>) {
  return schema.nullish().transform((value) => value ?? undefined);
}
const flag = optional(z.boolean());
/** Begins with "/"; it is sent as it is. */
const rawPath = text.startsWith('/').max(PATH_LENGTH_MAX);
/** Without "?"; it is sent as it is. */
const rawQuery = text
  .max(QUERY_LENGTH_MAX)
  .nullish()
  .transform((value) => value ?? '');

/** A body can be sent as it is when it is a text, else as JSON. */
export function isBody(value: unknown): boolean {
  return value === undefined || typeof value === 'string' || typeof value === 'object';
}

/** `base64` in any case, or none. */
export function isBodyEncoding(value: unknown): value is string {
  return typeof value === 'string' && /^(?:base64)?$/i.test(value);
}

/** Schemes of an application. */
export function isScheme(value: unknown): value is string {
  return typeof value === 'string' && /^(?:(?:http|ws)s?)?$/i.test(value);
}

interface TargetFields {
  readonly path: string;
  readonly query: string;
  readonly namespace?: string | undefined;
  readonly service_name?: string | undefined;
  readonly service_port?: number | undefined;
}

/** @returns which field contradicts another one, and how, when each is right by itself */
export function contradiction(target: TargetFields): readonly [string, string] | undefined {
  const { path, query, namespace, service_name: name, service_port: port } = target;
  if (query !== '' && (query.startsWith('?') || path.includes('?'))) {
    return ['query', 'there is one "?" only, and it stands in neither of path and query'];
  }
  const isNamed = Boolean(name) || Boolean(port);
  const isWhole = Boolean(namespace) && Boolean(name) && Boolean(port);
  return isNamed && !isWhole
    ? ['service_name', 'a Service is named by namespace, service_name and service_port']
    : undefined;
}

/**
 * peer → agent. A field that is unknown counts as absent. A field of a wrong type, or too long,
 * makes the agent refuse the request: without its query a DELETE would delete everything. The agent
 * reads it with `readProxyRequest`, which does the same faster.
 */
export const ProxyRequestPayload = z
  .object({
    /** Empty means GET. */
    method: text
      .max(METHOD_LENGTH_MAX)
      .nullish()
      .transform((value) => value ?? ''),
    path: rawPath,
    query: rawQuery,
    headers,
    /** A text, an object or an array. */
    body: z.unknown().refine(isBody, 'must be a text, an object or an array').optional(),
    /** `base64`, else the body is the text itself; an object or array is sent as JSON. */
    body_encoding: optional(text.refine(isBodyEncoding, 'must be "base64", or absent')),
    /** The body follows as the next binary message: u16 length of the id, the id, the body. */
    body_binary: flag,
    body_size: optional(z.int().min(0)),
    use_streaming: flag,
    streaming: flag,
    supports_response_streaming: flag,
    /** For an application all three are given, else the Kubernetes API is meant. */
    namespace: optional(text),
    service_name: optional(text),
    service_port: optional(z.int().min(0).max(PORT_MAX)),
    scheme: optional(text.refine(isScheme, 'must be http, https, ws or wss')),
    /** Becomes Sec-WebSocket-Protocol, and means a WebSocket. */
    protocol: optional(text),
    is_websocket: flag,
    isWebSocket: flag,
    /** Milliseconds, or a duration of Go such as `1m30.5s`; 0 means none. */
    timeout: optional(
      z.union([z.number(), text]).refine(isTimeout, 'must be milliseconds or a duration'),
    ),
    /** When the answer is no longer of use (RFC 3339). The earlier of this and `timeout` counts. */
    deadline: optional(text.refine(isDeadline, 'must be a time of RFC 3339')),
    /** Ours: see above. */
    raw_upgrade: flag,
  })
  .superRefine((request, context) => {
    const [field = '', message] = contradiction(request) ?? [];
    if (message !== undefined) {
      context.addIssue({ code: 'custom', path: [field], message });
    }
  });
export type ProxyRequestPayload = z.infer<typeof ProxyRequestPayload>;

/** Base64 of body bytes; the existing peers use either name. */
export const ProxyRequestChunkPayload = z.looseObject({
  data: optional(text),
  chunk: optional(text),
});

/** Both directions. */
export const ProxyWindowPayload = z.looseObject({
  bytes: z
    .int()
    .min(1)
    .max(64 * 1024 * 1024),
});

const responseHeaders = z.record(text, z.array(text)).nullable();

/** agent → peer. Without a body `body` and `encoding` are absent. */
export const ProxyResponsePayload = z.strictObject({
  status: z.int(),
  headers: responseHeaders,
  body: text.optional(),
  encoding: z.enum(['base64', 'gzip']).optional(),
});
export type ProxyResponsePayload = z.infer<typeof ProxyResponsePayload>;

export const ProxyResponseHeaderPayload = z.strictObject({
  status: z.int(),
  headers: responseHeaders,
});
export type ProxyResponseHeaderPayload = z.infer<typeof ProxyResponseHeaderPayload>;

export const ProxyResponseChunkPayload = z.strictObject({
  data: text,
  encoding: z.literal('base64'),
  /** Raw bytes. */
  size: z.int().min(0),
});
export type ProxyResponseChunkPayload = z.infer<typeof ProxyResponseChunkPayload>;

/** peer → agent, `proxy_websocket_start` or `ws_start`: a WebSocket of the Kubernetes API. */
export const ProxyWebSocketStartPayload = z.looseObject({
  stream_id: idOf(256),
  path: rawPath,
  query: rawQuery,
  headers,
  protocol: optional(text),
});

/** peer → agent, `proxy_websocket_data` or `ws_data`, with the id of its WebSocket in one of three places. */
export const ProxyWebSocketInputPayload = z.looseObject({
  /** Base64 of u8 opcode and payload; of the payload alone where `message_type` has the opcode. */
  data: text.nullish().transform((value) => value ?? ''),
  message_type: optional(z.number()),
});

/** agent → peer. */
export const ProxyWebSocketDataPayload = z.strictObject({
  request_id: text,
  stream_id: text,
  data: text,
  message_type: z.int(),
});
export type ProxyWebSocketDataPayload = z.infer<typeof ProxyWebSocketDataPayload>;
