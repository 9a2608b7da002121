/** Takes traces as a collector does: OTLP/HTTP with protobuf, read by its published schema. */
import { parse } from 'protobufjs';
import type { TestCertificates } from './tls.ts';

/** What is read of opentelemetry-proto 1.x (collector/trace/v1, trace/v1, common/v1). */
const SCHEMA = `
syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  bytes parent_span_id = 4;
  string name = 5;
  int32 kind = 6;
  fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  Status status = 15;
}
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
`;
const REQUEST = parse(SCHEMA).root.lookupType('Request');

export type Values = Readonly<Record<string, string | number | boolean>>;

export interface ReceivedSpan {
  readonly name: string;
  /** SpanKind: 2 server, 3 client, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty of the first of a trace. */
  readonly parentSpanId: string;
  readonly attributes: Values;
  readonly resource: Values;
  /** StatusCode 2; its message. */
  readonly error: string | undefined;
  readonly durationMs: number;
}

export interface OtlpReceiver extends Disposable {
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** Of the requests that were taken. */
  readonly headers: readonly Headers[];
  /** Answered in turn, before everything is taken. */
  readonly refuseWith: number[];
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface Decoded {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly DecodedSpan[] }[];
  }[];
}

interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

/** @param options.tls speaks TLS, as `host` */
export function startOtlpReceiver(
  options: { readonly tls?: Pick<TestCertificates, 'cert' | 'key'>; readonly host?: string } = {},
): OtlpReceiver {
  const { tls, host = '127.0.0.1' } = options;
  const spans: ReceivedSpan[] = [];
  const headers: Headers[] = [];
  const refuseWith: number[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    ...(tls && { tls }),
    fetch: async (request) => {
      const body = await request.bytes();
      const status = refuseWith.shift();
      if (status !== undefined) {
        return new Response(null, { status });
      }
      headers.push(request.headers);
      const message = REQUEST.decode(body);
      const decoded: Decoded = REQUEST.toObject(message, { longs: String, bytes: String });
      spans.push(...spansIn(decoded));
      return new Response(new Uint8Array());
    },
  });
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://${host}:${server.port}/v1/traces`,
    spans,
    headers,
    refuseWith,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

function spansIn({ resourceSpans = [] }: Decoded): readonly ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        kind: span.kind,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId ?? ''),
        attributes: valuesOf(span.attributes),
        resource: valuesOf(resource.attributes),
        error: span.status?.code === 2 ? (span.status.message ?? '') : undefined,
        durationMs: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
      })),
    ),
  );
}

function hex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

function valuesOf(pairs: readonly KeyValue[] = []): Values {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const [kind, given = ''] = Object.entries(value)[0] ?? [];
      return [key, kind === 'intValue' ? Number(given) : given];
    }),
  );
}
