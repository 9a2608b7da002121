/** What goes in comes out the same: values of payloads, output of programs, bytes of logs. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { findHandler } from '../../../src/commands/engine/find-handler.ts';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { resultOfError, resultOfOutcome } from '../../../src/commands/engine/result.ts';
import { secretsOf } from '../../../src/commands/engine/secrets.ts';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import { channelOpener } from '../../../src/kubernetes/api/channel-stream.ts';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { trustingDial } from '../../../src/platform/network/trusting-dial.ts';
import { workElsewhere } from '../../../src/platform/worker.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type FakeExecApi, startFakeExecApi } from '../../support/fake-exec-api.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/shop/deployments/web';
const CONFIG_MAP = '/api/v1/namespaces/shop/configmaps/a';
const PODS = '/api/v1/namespaces/shop/pods';
const TARGET = { name: 'web', namespace: 'shop', wait_seconds: 0 };
const HALF_PAIR = '\ud83d';

/** Texts that something on the way could take for more than text. */
const TEXTS: Readonly<Record<string, string>> = {
  ...{ empty: '', blanks: '  \t two ends \t ', lines: 'a\nb\r\nc\rd\n', dashes: 'a\n---\nb' },
  ...{ dollars: `$HOME \${X} $ $& $1 $' 100$`, escape: '\u001b[31mred\u001b[0m\u0007\u009b' },
  ...{ emoji: '👩‍👩‍👧 ça 日本', mark: '\ufeffbegin\ufeff', lineEnds: 'a\u2028---\u2028b\u0085c' },
  ...{ quotes: `"'\\n\\u0041 {{x}} %s %00 #c: -`, number: '0400', no: 'no', nothing: 'null' },
  ...{ replacement: 'x\ufffdy\ufffd', long: 'é$x'.repeat(40_000) },
};

let kubernetes: FakeKubernetes;
let api: FakeExecApi;
let context: CommandContext;

beforeEach(async () => {
  [kubernetes, api] = await Promise.all([startFakeKubernetes(), startFakeExecApi()]);
  kubernetes.put('/api/v1/namespaces/shop', {});
  kubernetes.put('/api/v1', {
    resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true }],
  });
  const current = async () => ({ server: api.url, ca: api.ca, token: 'good' });
  const credentials = { current, reload: () => undefined };
  const clock = systemClock;
  context = {
    ...unusedCommandDeps(),
    ...{ clock, workElsewhere },
    kubernetes: clientOf(kubernetes),
    openChannels: channelOpener({ clock, credentials, dialTrusting: trustingDial }),
    commandId: 'command-1',
    signal: new AbortController().signal,
    log: memoryLog(),
    stopping: new AbortController().signal,
    checkpoint: undefined,
    setCheckpoint: async () => undefined,
    progress: () => undefined,
  };
});
afterEach(async () => {
  await Promise.all([kubernetes[Symbol.asyncDispose](), api[Symbol.asyncDispose]()]);
});

const TIMES = { attempts: 1, startedAt: null, finishedAt: new Date(0), durationMs: 5 };

/** As the control plane gets it: over JSON. */
async function run(type: string, payload: object) {
  const given = JSON.parse(JSON.stringify(payload));
  const outcome = await findHandler(COMMAND_HANDLERS, type).prepare(given).run(context);
  const result = resultOfOutcome(outcome, TIMES, secretsOf(given));
  return JSON.parse(JSON.stringify(result)) as typeof result;
}

const problemsOf = async (type: string, payload: object) =>
  (await failureOf(() => run(type, payload))).details?.['problems'];

interface Container {
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}

function containerNow(): Container | undefined {
  const spec = kubernetes.object(DEPLOYMENT)?.spec as
    | { readonly template: { readonly spec: { readonly containers: readonly Container[] } } }
    | undefined;
  return spec?.template.spec.containers[0];
}

/** What Kubernetes makes of a value (third_party/forked/golang/expansion); every name is known. */
const expanded = (value: string) =>
  value.replace(/\$(?:\$|\(([^)]*)\))/g, (match) => (match === '$$' ? '$' : 'EXPANDED'));

function environmentNow(): Record<string, string> {
  const variables = containerNow()?.env ?? [];
  return Object.fromEntries(variables.map(({ name, value }) => [name, expanded(value)]));
}

describe('deploy and update', () => {
  const DOLLARS = {
    ...{ variable: '$(empty)', escaped: '$$(empty) $$$(empty)', open: 'a$(', end: '$(a)$$$' },
    ...{ two: 'pa$$word', odd: '$$$', many: '$$$$$$', shell: '$((1+$(no)))$' },
  };

  test.each(['deploy', 'update'])('%s gives the container each variable as it is', async (type) => {
    await run('deploy', { ...TARGET, image: 'web:1', environment: { before: 'x' } });
    const environment = { ...TEXTS, ...DOLLARS };
    await run(type, { ...TARGET, image: 'web:1', environment });
    expect(environmentNow()).toEqual(environment);
  });

  test('writes nothing else than what Kubernetes would read as more', async () => {
    await run('deploy', { ...TARGET, image: 'web:1', environment: TEXTS });
    expect(containerNow()?.env).toEqual(
      Object.entries(TEXTS).map(([name, value]) => ({ name, value })),
    );
  });

  test('keeps words and annotations, in which Kubernetes may name variables', async () => {
    const words = [...Object.values(TEXTS), '$(PORT)', '$$'].filter(({ length }) => length < 999);
    const annotations = { ...TEXTS, ...DOLLARS };
    await run('deploy', { ...TARGET, image: 'web:1', command: words, args: words, annotations });
    expect(containerNow()).toMatchObject({ command: words, args: words });
    expect(kubernetes.object(DEPLOYMENT)?.metadata['annotations']).toMatchObject(annotations);
  });

  test.each(['deploy', 'update'])('%s refuses what no container can be given', async (type) => {
    const payload = { ...TARGET, image: 'web:1' };
    const nul = 'must have no NUL character: no program can be given one';
    const half = 'must be Unicode: it has half a surrogate pair';
    const environment = { A: 'a\0b', B: HALF_PAIR, C: '👩' };
    const probes = { liveness: { exec: { command: ['\0'] } } };
    const words = { command: ['\0'], args: ['a', HALF_PAIR] };
    const annotations = { a: HALF_PAIR, b: '\0' };
    expect(
      await problemsOf(type, { ...payload, environment, annotations, ...words, probes }),
    ).toEqual([
      `environment.A: ${nul}`,
      `environment.B: ${half}`,
      `annotations.a: ${half}`,
      `command.0: ${nul}`,
      `args.1: ${half}`,
      `probes.liveness.exec.command.0: ${nul}`,
    ]);
    const unnamed = JSON.parse('{"__proto__": "x", "A": "y"}');
    expect(await problemsOf(type, { ...payload, environment: unnamed })).toEqual([
      'environment: must not name "__proto__"',
    ]);
    expect(kubernetes.object(DEPLOYMENT)).toBeUndefined();
  });

  test('hides a secret with dollars in both ways in which it is written', () => {
    expect(secretsOf({ environment: { DB_PASSWORD: 'pa$$word' } })).toEqual([
      'pa$$word',
      'pa$$$word',
    ]);
  });
});

describe('apply', () => {
  const manifestOf = (data: object) =>
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'ConfigMap' },
      ...{ metadata: { name: 'a', namespace: 'shop' }, data },
    });
  const dataNow = () => (kubernetes.object(CONFIG_MAP) as { data?: unknown } | undefined)?.data;

  test('keeps values of JSON, dollars and NUL too', async () => {
    const data = { ...TEXTS, nul: 'a\0b', variable: '$(X) $$' };
    await run('apply', { manifest: manifestOf(data) });
    expect(dataNow()).toEqual(data);
  });

  test('divides no text at what ends a line elsewhere', async () => {
    const text = 'a\u2028---\u2028b\u2029---\u2029c';
    await run('apply', { manifest: `${manifestOf({ text })}\n--- # ends\r\n# nothing` });
    expect(dataNow()).toEqual({ text });
  });

  test.each([
    ['a value', { text: HALF_PAIR }],
    ['a key', { [HALF_PAIR]: 'x' }],
  ])('refuses half a surrogate pair in %s', async (_, data) => {
    expect(await problemsOf('apply', { manifest: manifestOf(data) })).toEqual([
      'document 1: has half a surrogate pair, which is no Unicode',
    ]);
    expect(dataNow()).toBeUndefined();
  });
});

const pod = (name: string) => ({
  metadata: { namespace: 'shop' },
  spec: { containers: [{ name }] },
  status: { containerStatuses: [{ name, state: { running: {} } }] },
});

/** Every text, and what only a program writes. */
const OUTPUT = `${Object.values(TEXTS).join('\n')}\0\u0001\n\n\n  end\r\n👩`;

describe('exec', () => {
  const EXEC = { namespace: 'shop', pod: 'web-1', command: ['cat'] };

  beforeEach(() => kubernetes.put(`${PODS}/web-1`, pod('web')));

  test('gives words and input as they are', async () => {
    let input = '';
    let words: string[] = [];
    const command = Object.values(TEXTS).filter(({ length }) => length < 999);
    api.onStart = ({ query }) => {
      words = query.getAll('command');
    };
    api.onMessage = (session, channel, data) => {
      input += channel === 0 ? data : '';
      if (channel === 255) {
        session.end({ status: 'Success' });
      }
    };
    const stdin = `${OUTPUT}${'x👩'.repeat(50_000)}`;
    await run('exec', { ...EXEC, command, stdin });
    expect(words).toEqual(command);
    expect(Buffer.from(input, 'latin1').equals(Buffer.from(stdin))).toBe(true);
  });

  test('gives stdout and stderr as they are, wherever the stream is cut', async () => {
    const bytes = Buffer.from(OUTPUT.replaceAll(TEXTS['long'] ?? '', 'é'));
    api.onStart = (session) => {
      for (let at = 0; at < bytes.length; at += 1) {
        session.send(1 + (at % 2), bytes.subarray(at, at + 1));
        session.send(2 - (at % 2), bytes.subarray(at, at + 1));
      }
      session.end({ status: 'Success' });
    };
    const { data, output, metadata } = await run('exec', EXEC);
    const text = bytes.toString();
    expect({ data, output, truncated: metadata.truncated }).toEqual({
      data: {
        ...{ pod: 'web-1', container: 'web', exit_code: 0 },
        ...{ stdout: text, stderr: text, truncated: false },
      },
      output: text + text,
      truncated: false,
    });
  });

  test('shows each byte that is no UTF-8 as a replacement character, and keeps the rest', async () => {
    api.onStart = (session) => {
      session.send(1, Uint8Array.of(0x61, 0xff, 0xfe, 0x62, 0xc3, 0x28, 0x00));
      session.end({ status: 'Success' });
    };
    expect((await run('exec', EXEC)).output).toBe('a\ufffd\ufffdb\ufffd(\0');
  });

  test('says in the metadata that it was cut', async () => {
    api.onStart = (session) => {
      session.send(2, 'x'.repeat(300 * 1024));
      session.end({ status: 'Success' });
    };
    const { data, metadata } = await run('exec', EXEC);
    expect([data?.['truncated'], metadata.truncated]).toEqual([true, true]);
  });

  test('keeps the end of a program that writes what JSON makes six times as long', async () => {
    api.onStart = (session) => {
      session.send(1, '\u001b'.repeat(256 * 1024));
      session.send(2, '\0'.repeat(256 * 1024));
      session.end({ status: 'Success' });
    };
    const { data, metadata } = await run('exec', EXEC);
    expect({ ...data, stdout: '', stderr: '', metadata: metadata.truncated }).toEqual({
      ...{ pod: 'web-1', container: 'web', exit_code: 0 },
      ...{ stdout: '', stderr: '', truncated: true, metadata: true },
    });
    expect(String(data?.['stdout']).replaceAll('\u001b', 'E')).toMatch(
      /^E{60000,}\n\[… \d+ bytes or more left out …\]\nE{60000,}$/,
    );
  });

  test('says so of one that was stopped, too', async () => {
    const stop = new AbortController();
    api.onStart = (session) => {
      session.send(1, 'x'.repeat(600 * 1024));
      session.send(1, 'end');
    };
    const openChannels: CommandContext['openChannels'] = (request, handlers, signal) =>
      context.openChannels(
        request,
        {
          ...handlers,
          data: (channel, bytes) => {
            handlers.data(channel, bytes);
            bytes.length === 3 ? stop.abort() : undefined;
          },
        },
        signal,
      );
    const failure = await failureOf(() =>
      findHandler(COMMAND_HANDLERS, 'exec')
        .prepare(EXEC)
        .run({ ...context, signal: stop.signal, openChannels }),
    );
    expect(resultOfError(failure, TIMES).metadata.truncated).toBe(true);
  });

  test('refuses words and input that would become others', async () => {
    const command = ['sh', 'a\0b', HALF_PAIR];
    expect(await problemsOf('exec', { ...EXEC, command, stdin: `\0${HALF_PAIR}` })).toEqual([
      'command.1: must have no NUL character: no program can be given one',
      'command.2: must be Unicode: it has half a surrogate pair',
      'stdin: must be Unicode: it has half a surrogate pair',
    ]);
  });
});

describe('logs', () => {
  const LOGS = { namespace: 'shop', pod: 'web-1' };
  let server: Bun.Server<undefined>;
  /** By the name of the pod. */
  let logs: Readonly<Record<string, Uint8Array>>;

  beforeEach(() => {
    server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      development: false,
      fetch: (request) => {
        const parts = new URL(request.url).pathname.split('/');
        const bytes = parts.at(-1) === 'log' ? logs[parts.at(-2) ?? ''] : undefined;
        return bytes === undefined ? Response.json(podsOf(parts)) : new Response(inPieces(bytes));
      },
    });
    const current = async () => ({ server: server.url.href, ca: '', token: 'token' });
    const credentials = { current, reload: () => undefined };
    context = {
      ...context,
      kubernetes: kubernetesClient({ clock: systemClock, http: systemHttp, credentials }),
    };
  });
  afterEach(async () => await server.stop(true));

  const podsOf = (parts: readonly string[]) => {
    const named = (name: string) => ({ ...pod('web'), metadata: { name, namespace: 'shop' } });
    if (parts.at(-2) === 'deployments') {
      return { spec: { selector: { matchLabels: { app: 'web' } } } };
    }
    return parts.at(-1) === 'pods' ? { items: Object.keys(logs).map(named) } : named('web-1');
  };

  test('gives the bytes of one pod as they are, wherever the stream is cut', async () => {
    logs = { 'web-1': Buffer.from(OUTPUT) };
    const { output, metadata } = await run('logs', LOGS);
    expect({ output, truncated: metadata.truncated }).toEqual({ output: OUTPUT, truncated: false });
  });

  test('keeps empty lines and ends of lines of several pods', async () => {
    logs = { 'web-1': Buffer.from('\na\n\n\rb\r\n\n'), 'web-2': Buffer.from('\u2028c') };
    const { output } = await run('logs', { namespace: 'shop', name: 'web' });
    expect(output).toBe(
      '[web-1] \n[web-1] a\n[web-1] \n[web-1] \rb\r\n[web-1] \n[web-2] \u2028c\n',
    );
  });

  test('says in the metadata that a line was cut, and cuts no character in two', async () => {
    logs = { 'web-1': Buffer.from(`a${'👩'.repeat(400_000)}`) };
    const { output, metadata } = await run('logs', LOGS);
    expect(metadata.truncated).toBe(true);
    expect(output).toMatch(/^a(?:👩)+\n\[… \d+ bytes or more left out …\]\n(?:👩)+$/u);
  });
});

/** Pieces of seven bytes at the beginning, so that characters are cut in two; then the rest. */
function inPieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < 700; at += 7) {
        controller.enqueue(bytes.slice(at, at + 7));
      }
      controller.enqueue(bytes.slice(700));
      controller.close();
    },
  });
}
