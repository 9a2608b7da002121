import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { WebSocketDial } from '../../../src/core/ports.ts';
import { channelOpener } from '../../../src/kubernetes/api/channel-stream.ts';
import { type PodProgram, runInPod } from '../../../src/kubernetes/pods/exec.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { trustingDial } from '../../../src/platform/network/trusting-dial.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type FakeExecApi, startFakeExecApi } from '../../support/fake-exec-api.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { makeCertificates } from '../../support/tls.ts';
import { turn, until } from '../../support/until.ts';

const SUCCESS = { status: 'Success' };
const never = new AbortController().signal;
const PROGRAM: PodProgram = {
  namespace: 'shop',
  pod: 'web-1',
  container: 'web',
  command: ['sh', '-c', 'true'],
  stdin: undefined,
  timeoutMs: 60_000,
  outputLimitBytes: 1_000,
  secrets: [],
};

let api: FakeExecApi;

beforeEach(async () => {
  api = await startFakeExecApi();
});
afterEach(async () => await api[Symbol.asyncDispose]());

function depsOf(options: { clock?: typeof systemClock; tokens?: string[]; ca?: string } = {}) {
  const tokens = options.tokens ?? ['good'];
  const credentials = {
    current: async () => ({ server: api.url, ca: options.ca ?? api.ca, token: tokens[0] ?? '' }),
    reload: () => void tokens.shift(),
  };
  const clock = options.clock ?? systemClock;
  return { clock, openChannels: channelOpener({ clock, credentials, dialTrusting: trustingDial }) };
}

const run = (program: Partial<PodProgram> = {}, signal = never) =>
  runInPod(depsOf(), { ...PROGRAM, ...program }, signal);

describe('runInPod()', () => {
  test('gives stdout, stderr and the exit code that the status names', async () => {
    let query: [string, string][] = [];
    api.onStart = (session) => {
      query = [...session.query];
      session.send(1, '');
      session.send(1, 'out ');
      session.send(2, 'err');
      session.send(1, 'put');
      const causes = [{ reason: 'ExitCode', message: '7' }];
      session.end({ status: 'Failure', reason: 'NonZeroExitCode', details: { causes } });
    };
    expect(await run()).toEqual({
      end: { kind: 'exited', exitCode: 7 },
      stdout: 'out put',
      stderr: 'err',
      truncated: false,
    });
    expect(query).toEqual([
      ['container', 'web'],
      ['stdin', 'false'],
      ['stdout', 'true'],
      ['stderr', 'true'],
      ['command', 'sh'],
      ['command', '-c'],
      ['command', 'true'],
    ]);
  });

  test('sends the input in pieces and then ends it', async () => {
    let input = '';
    api.onMessage = (session, channel, data) => {
      if (channel === 255) {
        session.send(1, `${input.length} ${data.charCodeAt(0)}`);
        session.end(SUCCESS);
      }
      input += channel === 0 ? data : '';
    };
    const outcome = await run({ stdin: 'x'.repeat(100_000) });
    expect(outcome).toMatchObject({ end: { exitCode: 0 }, stdout: '100000 0' });
  });

  test('speaks version 4 where there is no 5', async () => {
    api.protocols = ['v4.channel.k8s.io'];
    api.onStart = (session) => session.end(SUCCESS);
    expect((await run()).end).toEqual({ kind: 'exited', exitCode: 0 });
    expect(api.opened).toEqual(['v4.channel.k8s.io']);
  });

  test('starts nothing with input where version 4 could not end it', async () => {
    api.protocols = ['v4.channel.k8s.io'];
    const failure = await failureOf(() => run({ stdin: 'text' }));
    expect({ code: failure.code, opened: api.opened }).toEqual({
      code: 'KUBERNETES_API',
      opened: [],
    });
  });

  test('keeps beginning and end of a long output', async () => {
    api.onStart = (session) => {
      session.send(1, 'begin');
      for (let count = 0; count < 200; count += 1) {
        session.send(1, 'x'.repeat(32_000));
      }
      session.send(1, 'end');
      session.end(SUCCESS);
    };
    const { stdout, truncated } = await run();
    expect({ length: Buffer.byteLength(stdout) <= 1_000, truncated }).toEqual({
      length: true,
      truncated: true,
    });
    expect(stdout).toMatch(/^beginx+\n\[… 6399008 bytes or more left out …\]\nx+end$/);
  });

  test('says why Kubernetes could not run it', async () => {
    api.onStart = (session) =>
      session.end({ status: 'Failure', reason: 'InternalError', message: 'no such file' });
    expect((await run()).end).toEqual({ kind: 'failed', reason: 'no such file' });
  });

  test('says what came when the stream breaks before the end, and asks only once', async () => {
    api.onStart = (session) => {
      session.send(1, 'half');
      session.drop();
    };
    const { end, stdout } = await run();
    expect({ kind: end.kind, stdout, opened: api.opened.length }).toEqual({
      kind: 'lost',
      stdout: 'half',
      opened: 1,
    });
  });

  test('takes nothing but a Status for the end', async () => {
    api.onStart = (session) => session.end('nonsense');
    expect((await run()).end.kind).toBe('lost');
  });

  test('closes the stream at the signal and says what came', async () => {
    const stop = new AbortController();
    const begun = Promise.withResolvers<void>();
    api.onMessage = (session) => {
      session.send(1, 'begun');
      begun.resolve();
    };
    const running = run({ stdin: 'go' }, stop.signal);
    await begun.promise;
    stop.abort();
    expect((await running).end).toEqual({ kind: 'interrupted' });
    await until('the API is left', () => api.closed() === 1);
  });

  test('closes the stream when the time of the program is over', async () => {
    const clock = manualClock();
    const running = runInPod(depsOf({ clock }), PROGRAM, never);
    await clock.whenSleeping(2);
    clock.advance(PROGRAM.timeoutMs);
    expect((await running).end).toEqual({ kind: 'timed-out' });
    await until('the API is left', () => api.closed() === 1);
  });
});

describe('channelOpener()', () => {
  test('looks for a renewed token once', async () => {
    api.onStart = (session) => session.end(SUCCESS);
    const renewed = await runInPod(depsOf({ tokens: ['old', 'good'] }), PROGRAM, never);
    expect(renewed.end).toEqual({ kind: 'exited', exitCode: 0 });
    const failure = await failureOf(() =>
      runInPod(depsOf({ tokens: ['old', 'older'] }), PROGRAM, never),
    );
    expect(failure.details).toEqual({ status: 401 });
  });

  test.each([
    [404, 'NOT_FOUND'],
    [403, 'KUBERNETES_API'],
    [500, 'KUBERNETES_API'],
  ])('tells a refusal with %d', async (status, code) => {
    api.refuseWith = status;
    const failure = await failureOf(() => run());
    expect({ code: failure.code, details: failure.details }).toEqual({
      code: code as typeof failure.code,
      details: { status },
    });
  });

  test('does not talk to a server with a certificate of another authority', async () => {
    const { ca } = await makeCertificates(['127.0.0.1']);
    const failure = await failureOf(() => runInPod(depsOf({ ca }), PROGRAM, never));
    expect({ code: failure.code, opened: api.opened }).toEqual({
      code: 'KUBERNETES_API',
      opened: [],
    });
  });

  test('gives up an upgrade that is not answered, and knows not what came of it', async () => {
    api.silent = true;
    const clock = manualClock();
    const failing = failureOf(() => runInPod(depsOf({ clock }), PROGRAM, never));
    await clock.whenSleeping(1);
    clock.advance(15_000);
    expect((await failing).code).toBe('COMMAND_OUTCOME_UNKNOWN');
  });

  test('knows that nothing began where nobody listens', async () => {
    const { [Symbol.asyncDispose]: stop } = api;
    await stop();
    expect((await failureOf(() => run())).code).toBe('KUBERNETES_API');
  });

  test('ends a stream from which not even pongs come', async () => {
    const clock = manualClock();
    const seen: string[] = [];
    const blackHole: WebSocketDial = (_url, _options, handlers) => {
      queueMicrotask(() => handlers.opened('v5.channel.k8s.io'));
      return {
        send: () => undefined,
        sendBinary: () => undefined,
        ping: () => void seen.push('ping'),
        close: () => undefined,
        terminate: () => void seen.push('dropped'),
        ...{ pause: () => undefined, resume: () => undefined },
        bufferedBytes: () => 0,
      };
    };
    const current = async () => ({ server: api.url, ca: api.ca, token: 'good' });
    const credentials = { current, reload: () => undefined };
    const openChannels = channelOpener({ clock, credentials, dialTrusting: () => blackHole });
    const program = { ...PROGRAM, timeoutMs: 600_000 };
    const running = runInPod({ clock, openChannels }, program, never);
    for (let elapsed = 0; elapsed < 60_000; elapsed += 15_000) {
      await clock.whenSleeping(2);
      clock.advance(15_000);
      await turn();
    }
    expect((await running).end).toEqual({ kind: 'lost', reason: 'the API server went silent' });
    expect(seen).toEqual(['ping', 'ping', 'ping', 'dropped']);
  });
});
