/** Spans as a collector gets them. */
import { expect, test } from 'bun:test';
import type { Clock } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import {
  openTelemetryTraces,
  WAITING_SPANS_MAX,
} from '../../../src/telemetry/traces/opentelemetry.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const START = { kind: 'server', attributes: {} } as const;

/** Pauses between tries pass at once; deadlines stay. */
const PAUSES_MS = [1_000, 2_000];
const clock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => PAUSES_MS.includes(ms) || (await systemClock.sleep(ms, signal)),
};

async function started(
  endpoint: string,
  headers: Parameters<typeof openTelemetryTraces>[1]['headers'] = async () => ({}),
) {
  const log = memoryLog();
  const resource = { 'service.name': 'pipeops-agent', 'host.name': 'n1' };
  const { traces, service } = openTelemetryTraces(
    { clock, log, http: systemHttp },
    { endpoint, headers },
    resource,
  );
  const stop = new AbortController();
  const { done } = await service.start(stop.signal);
  return {
    traces,
    log,
    /** What has ended is sent then. */
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

test('a span comes with its parent, what it is of, and how it ended', async () => {
  using receiver = startOtlpReceiver();
  const { traces, stop } = await started(receiver.endpoint);
  const span = traces.begin('command scale', `00-${TRACE}-${PARENT}-01`, {
    kind: 'consumer',
    attributes: { 'pipeops.command.id': 'c-1', 'pipeops.command.attempt': 2 },
  });
  span.end({ error: 'TIMEOUT', attributes: { more: 'said' } });
  await stop();
  const { spanId, durationMs, ...rest } = receiver.spans[0] ?? { spanId: '', durationMs: -1 };
  expect(rest as unknown).toEqual({
    name: 'command scale',
    kind: 5,
    traceId: TRACE,
    parentSpanId: PARENT,
    attributes: {
      ...{ 'pipeops.command.id': 'c-1', 'pipeops.command.attempt': 2 },
      ...{ more: 'said', 'error.type': 'TIMEOUT' },
    },
    resource: { 'service.name': 'pipeops-agent', 'host.name': 'n1' },
    error: 'TIMEOUT',
  });
  expect(span.traceparent).toBe(`00-${TRACE}-${spanId}-01`);
  expect(durationMs).toBeGreaterThanOrEqual(0);
  expect(receiver.headers.map((each) => each.get('content-type'))).toEqual([
    'application/x-protobuf',
  ]);
});

test('what is begun within the work of a span is its child, also later; elsewhere nothing is', async () => {
  using receiver = startOtlpReceiver();
  const { traces, stop } = await started(receiver.endpoint);
  const span = traces.begin('outer', undefined, START);
  await span.run(async () => {
    await Promise.resolve();
    traces.beginInside('inner', START)?.end({ error: undefined });
  });
  span.end({ error: undefined });
  expect(traces.beginInside('elsewhere', START)).toBeUndefined();
  await stop();
  const [inner, outer] = receiver.spans;
  expect([inner?.name, inner?.parentSpanId, inner?.traceId]).toEqual([
    ...['inner', outer?.spanId, outer?.traceId],
  ]);
  expect([outer?.name, outer?.parentSpanId, outer?.error]).toEqual(['outer', '', undefined]);
});

test.each(['', 'nonsense', `00-${'0'.repeat(32)}-${PARENT}-01`])(
  'a cause that cannot be read begins a trace of its own: %p',
  async (parent) => {
    using receiver = startOtlpReceiver();
    const { traces, stop } = await started(receiver.endpoint);
    traces.begin('alone', parent, START).end({ error: undefined });
    await stop();
    expect(receiver.spans.map(({ parentSpanId }) => parentSpanId)).toEqual(['']);
  },
);

test('what its cause did not want recorded is not, and says so to what follows', async () => {
  using receiver = startOtlpReceiver();
  const { traces, stop } = await started(receiver.endpoint);
  const span = traces.begin('quiet', `00-${TRACE}-${PARENT}-00`, START);
  span.end({ error: undefined });
  await stop();
  expect(span.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  expect(receiver.spans).toEqual([]);
});

test('what is refused for a while is sent again', async () => {
  using receiver = startOtlpReceiver();
  receiver.refuseWith.push(503, 429);
  const { traces, log, stop } = await started(receiver.endpoint);
  traces.begin('late', undefined, START).end({ error: undefined });
  await stop();
  expect(receiver.spans.map(({ name }) => name)).toEqual(['late']);
  expect(log.entries).toEqual([]);
});

test('each request has the headers that the collector wants, as they are then', async () => {
  using receiver = startOtlpReceiver();
  receiver.refuseWith.push(503);
  const asked: string[] = [];
  const { traces, stop } = await started(receiver.endpoint, async () => {
    asked.push('once');
    return { authorization: 'Bearer s3cret', 'content-type': 'text/plain' };
  });
  traces.begin('let in', undefined, START).end({ error: undefined });
  await stop();
  const [sent] = receiver.headers;
  expect([sent?.get('authorization'), sent?.get('content-type'), asked]).toEqual([
    ...['Bearer s3cret', 'application/x-protobuf', ['once']],
  ]);
});

test('where its headers cannot be read nothing is sent, and it is told why', async () => {
  using receiver = startOtlpReceiver();
  const { traces, log, stop } = await started(receiver.endpoint, async () => {
    throw new Error('there are none');
  });
  traces.begin('lost', undefined, START).end({ error: undefined });
  await stop();
  expect(receiver.spans).toEqual([]);
  expect(log.entries.map(({ fields }) => fields)).toEqual([{ spans: 1, error: 'there are none' }]);
});

test('what nobody takes is told once and dropped', async () => {
  using receiver = startOtlpReceiver();
  receiver.refuseWith.push(400);
  const { traces, log, stop } = await started(receiver.endpoint);
  traces.begin('lost', undefined, START).end({ error: undefined });
  await stop();
  expect(receiver.spans).toEqual([]);
  expect(log.entries).toEqual([
    {
      level: 'warn',
      message: 'traces could not be sent',
      fields: { spans: 1, error: 'it answered 400' },
    },
  ]);
});

test('while they cannot be sent, no more wait than may', async () => {
  using receiver = startOtlpReceiver();
  const { traces, stop } = await started(receiver.endpoint);
  for (let count = 0; count < WAITING_SPANS_MAX * 2; count += 1) {
    traces.begin('many', undefined, START).end({ error: undefined });
  }
  await stop();
  // Those of the request under way do not wait any more.
  expect(receiver.spans.length).toBeLessThanOrEqual(WAITING_SPANS_MAX * 1.25);
  expect(receiver.spans.length).toBeGreaterThanOrEqual(WAITING_SPANS_MAX);
});
