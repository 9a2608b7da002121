/** What is counted all the time: requests, traffic, and how late watches and the event loop are. */
import { expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import type { WebSocketConnection, WebSocketHandlers } from '../../src/core/ports.ts';
import type { FollowKind } from '../../src/kubernetes/watch/shared-following.ts';
import { commandDurations } from '../../src/telemetry/command-durations.ts';
import { eventLoopLag } from '../../src/telemetry/event-loop-lag.ts';
import { measuredKubernetes } from '../../src/telemetry/kubernetes-calls.ts';
import type { Histograms } from '../../src/telemetry/metrics/histograms.ts';
import { proxyDurations } from '../../src/telemetry/proxy-durations.ts';
import { watchLag } from '../../src/telemetry/watch-lag.ts';
import { measuredNetwork, webSocketTraffic } from '../../src/telemetry/websocket-traffic.ts';
import { manualClock } from '../support/manual-clock.ts';

function recorder() {
  const observed: unknown[][] = [];
  const histograms: Histograms = {
    observe: (...observation) => void observed.push(observation.slice(1)),
    all: () => new Map(),
  };
  return { observed, histograms };
}

test('a request to Kubernetes is measured by its verb, and by what it was answered', async () => {
  const clock = manualClock();
  const { observed, histograms } = recorder();
  const http = measuredKubernetes({
    clock,
    histograms,
    http: async (url) => {
      await clock.advance(30);
      if (url.includes('/gone')) {
        throw new Error('refused');
      }
      return new Response(null, { status: url.includes('/missing') ? 404 : 200 });
    },
  });
  await http('https://k/api/v1/pods/a');
  await http('https://k/api/v1/pods?limit=500');
  await http('https://k/api/v1/pods?watch=true&limit=1');
  await http('https://k/api/v1/pods/missing', { method: 'PATCH' });
  await expect(http('https://k/gone', { method: 'POST' })).rejects.toThrow('refused');
  expect(observed).toEqual([
    [{ verb: 'get', code: '2xx' }, 0.03],
    [{ verb: 'list', code: '2xx' }, 0.03],
    [{ verb: 'watch', code: '2xx' }, 0.03],
    [{ verb: 'patch', code: '4xx' }, 0.03],
    [{ verb: 'create', code: 'none' }, 0.03],
  ]);
});

test('a proxied request is measured by its door, and a stream is not', async () => {
  const clock = manualClock();
  const { observed, histograms } = recorder();
  const day: number[] = [];
  const measured = (durationMs: number) => void day.push(durationMs);
  const measure = proxyDurations({ clock, histograms, day: { measured } });
  const request = { method: 'GET', target: '/', headers: [] };
  const [short, gone, stream] = ['loopback:a:b', 'control-plane', 'tls:kubectl'].map((client) =>
    measure({ ...request, client }),
  );
  await clock.advance(20);
  short?.({ kind: 'short', status: 204 });
  gone?.({ kind: 'short', status: undefined });
  stream?.({ kind: 'stream', status: 200 });
  expect(observed).toEqual([
    [{ door: 'loopback', code: '2xx' }, 0.02],
    [{ door: 'control-plane', code: 'none' }, 0.02],
  ]);
  expect(day).toEqual([20, 20]);
});

test('a command is named by its measurement, unless its name is too long for that', () => {
  const { observed, histograms } = recorder();
  const ended = commandDurations(histograms);
  const command = { type: 'logs', outcome: 'succeeded', durationMs: 1_500 } as const;
  ended({ ...command, id: 'c-1' });
  ended({ ...command, id: 'x'.repeat(101) });
  const labels = { type: 'logs', outcome: 'succeeded' };
  expect(observed).toEqual([
    [labels, 1.5, { command_id: 'c-1' }],
    [labels, 1.5, {}],
  ]);
});

test('traffic of WebSockets is counted, and the way of a ping to its pong', async () => {
  const clock = manualClock();
  const traffic = webSocketTraffic();
  const { observed, histograms } = recorder();
  let peer: WebSocketHandlers | undefined;
  const calls: unknown[][] = [];
  const note =
    (name: string) =>
    (...given: unknown[]) =>
      void calls.push([name, ...given]);
  const socket: WebSocketConnection = {
    ...{ send: note('send'), sendBinary: note('sendBinary'), ping: note('ping') },
    ...{ close: note('close'), terminate: note('terminate') },
    ...{ pause: note('pause'), resume: note('resume'), bufferedBytes: () => 7 },
  };
  const network = measuredNetwork(
    { clock, traffic, histograms },
    {
      http: () => Promise.reject(new Error('not asked for')),
      dial: (_, __, handlers) => {
        peer = handlers;
        return socket;
      },
      close: () => undefined,
    },
  );
  const heard: unknown[][] = [];
  const own = (name: string) => (given?: unknown) => void heard.push([name, given]);
  const options = { headers: {}, messageLimitBytes: 1 };
  const connection = network.dial('wss://c', options, {
    ...{ opened: own('opened'), message: own('message') },
    ...{ heard: own('heard'), closed: own('closed') },
  });
  peer?.opened();
  connection.send('é');
  connection.sendBinary([new Uint8Array(3), new Uint8Array(4)]);
  peer?.message('abc');
  peer?.message(new Uint8Array(5));
  connection.ping('1');
  await clock.advance(40);
  peer?.heard('unasked');
  peer?.heard('1');
  peer?.heard('1');
  connection.close(1_000, 'bye');
  const open = { ...traffic };
  const end = { code: 1_000, reason: '' };
  peer?.closed(end);
  expect(open).toEqual({
    ...{ open: 1, opened: 1, framesSent: 2, framesReceived: 2 },
    ...{ bytesSent: 9, bytesReceived: 8 },
  });
  expect(traffic.open).toBe(0);
  expect(observed).toEqual([[{}, 0.04]]);
  expect(calls.map(([name]) => name)).toEqual(['send', 'sendBinary', 'ping', 'close']);
  expect(heard.map(([name]) => name)).toEqual([
    ...['opened', 'message', 'message', 'heard', 'heard', 'heard', 'closed'],
  ]);
  expect(connection.bufferedBytes()).toBe(7);
});

test('a watch lags from its first try until it is reached, and again while it fails', async () => {
  const clock = manualClock();
  const stop = new AbortController();
  let sink: Parameters<FollowKind>[1] | undefined;
  const over = Promise.withResolvers<void>();
  const lag = watchLag(clock, async (_, given) => {
    // The test tells it of no objects.
    sink = given as Parameters<FollowKind>[1];
    await over.promise;
  });
  const heard: string[] = [];
  const own = (name: string) => () => void heard.push(name);
  const following = lag.follow(
    '/api/v1/pods',
    {
      ...{ listing: own('listing'), put: own('put'), remove: own('remove') },
      ...{ listed: own('listed'), reached: own('reached'), failed: own('failed') },
    },
    stop.signal,
  );
  await clock.advance(2_000);
  const first = lag.lags();
  sink?.reached();
  await clock.advance(1_000);
  const reached = lag.lags();
  sink?.failed(new AgentError('TIMEOUT', 'away', { hint: 'wait' }));
  await clock.advance(3_000);
  sink?.failed(new AgentError('TIMEOUT', 'away', { hint: 'wait' }));
  await clock.advance(1_000);
  const failed = lag.lags();
  over.resolve();
  await following;
  expect([first, reached, failed, lag.lags()]).toEqual([{ pods: 2 }, { pods: 0 }, { pods: 4 }, {}]);
  expect(heard).toEqual(['reached', 'failed', 'failed']);
});

test('the lag of the event loop is how late its timer fires', async () => {
  const clock = manualClock();
  const { observed, histograms } = recorder();
  const stop = new AbortController();
  let now = 0;
  const lateClock = {
    ...clock,
    monotonic: () => now,
    sleep: async (ms: number) => {
      now += ms + 70;
      if (observed.length === 2) {
        stop.abort();
      }
      return !stop.signal.aborted;
    },
  };
  const { done } = await eventLoopLag({ clock: lateClock, histograms }).start(stop.signal);
  await done;
  expect(observed).toEqual([
    [{}, 0.07],
    [{}, 0.07],
  ]);
});
