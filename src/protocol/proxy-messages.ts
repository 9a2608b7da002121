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
import type { HeaderList } from './http-head.ts';

/** Body bytes of one message, before base64; the existing agent sends as many. */
export const PROXY_CHUNK_BYTES = 32 * 1024;
/** Body bytes that may be under way in one direction of one request without `proxy_window`. */
export const PROXY_WINDOW_BYTES = 1024 * 1024;
/** Largest body of a `proxy_response`: a peer that does not stream holds it as a whole, bytes. */
export const BUFFERED_ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Characters of a request's parts. A longer method or query counts as absent. */
export const METHOD_LENGTH_MAX = 32;
export const PATH_LENGTH_MAX = 16 * 1024;
export const QUERY_LENGTH_MAX = 64 * 1024;

const text = z.string();
/** A text or a list of texts; a header of another type is left out, as the existing agent does. */
export function headersOf(all: unknown): HeaderList {
  const list: (readonly [string, string])[] = [];
  if (typeof all !== 'object' || all === null) {
    return list;
  }
  for (const [name, value] of Object.entries(all)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each === 'string') {
        list.push([name, each]);
      }
    }
  }
  return list;
}
const headers = z.unknown().transform(headersOf);
const flag = z.boolean().optional().catch(undefined);
/** Begins with "/"; it is sent as it is. */
const rawPath = text.startsWith('/').max(PATH_LENGTH_MAX);
/** Without "?"; it is sent as it is. */
const rawQuery = text.max(QUERY_LENGTH_MAX).catch('').default('');

/**
 * peer → agent. What is of a wrong type counts as absent, and what is unknown too; only the path must
 * be right. The agent reads it with `readProxyRequest`, which does the same faster.
 */
export const ProxyRequestPayload = z.object({
  /** Empty means GET. */
  method: text.max(METHOD_LENGTH_MAX).catch('').default(''),
  path: rawPath,
  query: rawQuery,
  headers: headers.default([]),
  body: z.unknown().optional(),
  /** `base64`, else the body is the text itself; an object or array is sent as JSON. */
  body_encoding: text.optional().catch(undefined),
  /** The body follows as the next binary message: u16 length of the id, the id, the body. */
  body_binary: flag,
  body_size: z.int().min(0).optional().catch(undefined),
  use_streaming: flag,
  streaming: flag,
  supports_response_streaming: flag,
  /** Of an application: all three, else the Kubernetes API is meant. */
  namespace: text.optional().catch(undefined),
  service_name: text.optional().catch(undefined),
  service_port: z.number().optional().catch(undefined),
  scheme: text.optional().catch(undefined),
  /** Becomes Sec-WebSocket-Protocol, and means a WebSocket. */
  protocol: text.optional().catch(undefined),
  is_websocket: flag,
  isWebSocket: flag,
  /** Milliseconds, or a duration such as `30s`. */
  timeout: z.union([z.number(), text]).optional().catch(undefined),
  /** Ours: see above. */
  raw_upgrade: flag,
});
export type ProxyRequestPayload = z.infer<typeof ProxyRequestPayload>;

/** Base64 of body bytes; the existing peers use either name. */
export const ProxyRequestChunkPayload = z.looseObject({
  data: text.optional().catch(undefined),
  chunk: text.optional().catch(undefined),
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
  stream_id: text.min(1).max(256),
  path: rawPath,
  query: rawQuery,
  headers: headers.default([]),
  protocol: text.optional().catch(undefined),
});

/** peer → agent, `proxy_websocket_data` or `ws_data`. The id may stand in three places. */
export const ProxyWebSocketInputPayload = z.looseObject({
  request_id: text.optional().catch(undefined),
  stream_id: text.optional().catch(undefined),
  /** Base64 of u8 opcode and payload; of the payload alone where `message_type` has the opcode. */
  data: text.catch('').default(''),
  message_type: z.number().optional().catch(undefined),
});
export type ProxyWebSocketInputPayload = z.infer<typeof ProxyWebSocketInputPayload>;

/** agent → peer. */
export const ProxyWebSocketDataPayload = z.strictObject({
  request_id: text,
  stream_id: text,
  data: text,
  message_type: z.int(),
});
export type ProxyWebSocketDataPayload = z.infer<typeof ProxyWebSocketDataPayload>;
