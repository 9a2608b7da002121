/** Traces by OpenTelemetry, sent over OTLP/HTTP. Loaded only where they are wanted. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { ExportResultCode, parseTraceParent } from '@opentelemetry/core';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { limitedLog } from '../../core/limited-log.ts';
import type { Clock, Http, Log } from '../../core/ports.ts';
import type { Service } from '../../core/service.ts';
import type { Span, SpanAttributes, SpanStart, Traces } from '../../core/traces.ts';
import { troubleOf } from '../../core/trouble.ts';
import { settledWithin, within } from '../../core/waiting.ts';

/** Spans that wait to be sent; later ones are dropped. */
export const WAITING_SPANS_MAX = 2_048;
/** Spans of one request. */
const BATCH_SPANS_MAX = 512;
/** How long a span waits for others, ms. */
const BATCH_WAIT_MS = 5_000;
/** A batch is sent this often at most. */
const TRIES_MAX = 3;
const SEND_TIMEOUT_MS = 5_000;
const RETRY_PAUSE_MS = 1_000;
/** What is still to be sent when the agent stops has this long. */
const LAST_SEND_MS = 3_000;
const ATTRIBUTES_MAX = 32;
/** Characters of an attribute. */
const ATTRIBUTE_LENGTH_MAX = 512;

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly http: Http;
}

export interface Collector {
  /** Where OTLP/HTTP is taken: `http://collector:4318/v1/traces`. */
  readonly endpoint: string;
  /** What each request has beside its own. @throws AgentError: then nothing is sent */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * @param resource what every span is told to be of
 */
export function openTelemetryTraces(
  deps: Deps,
  collector: Collector,
  resource: SpanAttributes,
): { readonly traces: Traces; readonly service: Service } {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ ...resource }),
    spanLimits: {
      attributeCountLimit: ATTRIBUTES_MAX,
      attributeValueLengthLimit: ATTRIBUTE_LENGTH_MAX,
    },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: exporterTo(deps, collector),
        maxQueueSize: WAITING_SPANS_MAX,
        maxExportBatchSize: BATCH_SPANS_MAX,
        scheduledDelayMillis: BATCH_WAIT_MS,
        exportTimeoutMillis: TRIES_MAX * (SEND_TIMEOUT_MS + RETRY_PAUSE_MS),
      }),
    ],
  });
  const stop = async (signal: AbortSignal) => {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const sent = provider.shutdown().catch(() => undefined); // The exporter has told.
    await settledWithin(deps.clock, LAST_SEND_MS, undefined, sent);
  };
  return {
    traces: tracesOf(provider.getTracer('pipeops-agent')),
    service: { name: 'traces', start: async (signal) => ({ done: stop(signal) }) },
  };
}

function tracesOf(tracer: Tracer): Traces {
  const inside = new AsyncLocalStorage<Context>();
  const begin = (name: string, within: Context, { kind, attributes }: SpanStart): Span => {
    const started = tracer.startSpan(name, { kind: KINDS[kind], attributes }, within);
    return spanOf(started, (work) => inside.run(trace.setSpan(within, started), work));
  };
  return {
    begin: (name, parent, start) => begin(name, contextOf(parent), start),
    beginInside: (name, start) => {
      const within = inside.getStore();
      return within && begin(name, within, start);
    },
  };
}

function spanOf(span: OtelSpan, run: Span['run']): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    run,
    end: ({ error, attributes = {} }) => {
      span.setAttributes(attributes);
      if (error !== undefined) {
        span.setAttribute('error.type', error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      }
      span.end();
    },
  };
}

function contextOf(traceparent: string | undefined): Context {
  const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
  return parent === null
    ? ROOT_CONTEXT
    : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
}

function exporterTo(deps: Deps, collector: Collector): SpanExporter {
  const complain = limitedLog(deps.clock, deps.log.warn);
  return {
    export: (spans, done) => {
      void send(deps, collector, spans).then(
        () => done({ code: ExportResultCode.SUCCESS }),
        (thrown: unknown) => {
          const trouble = troubleOf(thrown);
          complain('traces could not be sent', { spans: spans.length, error: trouble });
          done({ code: ExportResultCode.FAILED, error: new Error(trouble) });
        },
      );
    },
    shutdown: async () => undefined,
  };
}

/** @throws Error when nobody took them */
async function send(deps: Deps, collector: Collector, spans: ReadableSpan[]): Promise<void> {
  const body = ProtobufTraceSerializer.serializeRequest(spans);
  if (body === undefined) {
    throw new Error('they cannot be written as OTLP');
  }
  const headers = await collector.headers();
  for (let number = 1; ; number += 1) {
    const trouble = await post(deps, collector.endpoint, headers, body);
    if (trouble === undefined) {
      return;
    }
    if (number === TRIES_MAX || !trouble.mayPass) {
      throw new Error(trouble.what);
    }
    await deps.clock.sleep(number * RETRY_PAUSE_MS);
  }
}

/** Statuses after which the same request may succeed (OTLP specification, "Retryable Response Codes"). */
const PASSING: readonly number[] = [429, 502, 503, 504];

/** @returns why they were not taken; undefined when they were */
async function post(
  { clock, http }: Deps,
  endpoint: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<{ readonly what: string; readonly mayPass: boolean } | undefined> {
  try {
    const { ok, status } = await within(clock, SEND_TIMEOUT_MS, undefined, async (signal) => {
      const response = await http(endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(body),
        redirect: 'error',
        signal,
      });
      await response.body?.cancel(); // What was not taken of them helps nobody here.
      return response;
    });
    return ok ? undefined : { what: `it answered ${status}`, mayPass: PASSING.includes(status) };
  } catch (thrown) {
    return { what: troubleOf(thrown), mayPass: true };
  }
}
