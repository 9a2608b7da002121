/** logs, exec, cordon and drain over an API of the test's own: what they ask, say and note. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { findHandler } from '../../../src/commands/engine/find-handler.ts';
import type { CommandContext } from '../../../src/commands/engine/handler.ts';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import { STATUS, STDOUT } from '../../../src/kubernetes/api/channel-stream.ts';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { workElsewhere } from '../../../src/platform/worker.ts';
import { type AccessRequest, ALLOWED, refused } from '../../../src/policy/decision.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const PODS = '/api/v1/namespaces/shop/pods';

let server: Bun.Server<undefined>;
/** What `GET path` answers. */
let objects: Map<string, unknown>;
let requests: string[];
let asked: AccessRequest[];
let checkpoints: unknown[];
let context: CommandContext;
let stop: AbortController;

beforeEach(() => {
  objects = new Map();
  requests = [];
  asked = [];
  checkpoints = [];
  stop = new AbortController();
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      requests.push(`${request.method} ${pathname}`);
      if (request.method === 'POST') {
        objects.set('/api/v1/pods', { items: [] });
      }
      const found = objects.get(pathname);
      if (found === undefined) {
        return Response.json({ kind: 'Status', message: `no ${pathname}` }, { status: 404 });
      }
      const isText = typeof found === 'string';
      return isText
        ? new Response(found.replace('N', searchParams.get('tailLines') ?? ''))
        : Response.json(found);
    },
  });
  const current = async () => ({ server: server.url.href, ca: '', token: 'token' });
  context = {
    clock: systemClock,
    kubernetes: kubernetesClient({
      clock: systemClock,
      http: systemHttp,
      credentials: { current, reload: () => undefined },
    }),
    openChannels: async (_request, handlers) => {
      handlers.data(STDOUT, Buffer.from('done'));
      handlers.data(STATUS, Buffer.from('{"status":"Success"}'));
      handlers.ended('close code 1000');
      return {
        protocol: 'v5.channel.k8s.io',
        send: () => undefined,
        closeChannel: () => undefined,
        bufferedBytes: () => 0,
        close: () => undefined,
      };
    },
    askHelper: () => Promise.reject(new Error('not used here')),
    ownToken: unusedCommandDeps().ownToken,
    newestK3s: unusedCommandDeps().newestK3s,
    releases: { find: () => Promise.reject(new Error('not used here')) },
    node: 'node-1',
    clusterStatus: () => Promise.reject(new Error('not used here')),
    workElsewhere,
    policy: {
      command: () => ALLOWED,
      isAsked: () => false,
      windowsAhead: () => undefined,
      access: (request) => {
        asked.push(request);
        return ALLOWED;
      },
      object: () => ALLOWED,
      request: () => ALLOWED,
    },
    commandId: 'command-1',
    signal: stop.signal,
    log: memoryLog(),
    stopping: new AbortController().signal,
    checkpoint: undefined,
    setCheckpoint: async (value) => void checkpoints.push(value),
    progress: () => undefined,
  };
});
afterEach(async () => await server.stop(true));

const run = (type: string, payload: unknown, own: Partial<CommandContext> = {}) =>
  findHandler(COMMAND_HANDLERS, type)
    .prepare(payload)
    .run({ ...context, ...own });

function pod(name: string, containers = ['web'], state: object = { running: {} }) {
  return {
    metadata: { name, namespace: 'shop', uid: name, ownerReferences: [{ controller: true }] },
    spec: { containers: containers.map((each) => ({ name: each })) },
    status: { containerStatuses: containers.map((each) => ({ name: each, state })) },
  };
}

function deployWeb(...pods: ReturnType<typeof pod>[]): void {
  const selector = { matchLabels: { app: 'web' } };
  objects.set('/apis/apps/v1/namespaces/shop/deployments/web', { spec: { selector } });
  objects.set(PODS, { items: pods });
}

describe('logs', () => {
  test('puts the name of the pod before each line when there are several', async () => {
    deployWeb(pod('web-2'), pod('web-1'));
    objects.set(`${PODS}/web-1/log`, 'N lines\n');
    const { output, data } = await run('logs', { namespace: 'shop', name: 'web', lines: 5 });
    expect({ output, data }).toEqual({
      output:
        '[web-1] 5 lines\n[web-2] (no log: Kubernetes refused GET /api/v1/namespaces/shop/pods/web-2/log: no /api/v1/namespaces/shop/pods/web-2/log)\n',
      data: {
        pods: [
          { pod: 'web-1', container: 'web', truncated: false },
          {
            pod: 'web-2',
            truncated: false,
            error:
              'Kubernetes refused GET /api/v1/namespaces/shop/pods/web-2/log: no /api/v1/namespaces/shop/pods/web-2/log',
          },
        ],
        pods_left_out: 0,
      },
    });
    expect(asked[0]).toEqual({
      verb: 'get',
      group: '',
      resource: 'pods',
      subresource: 'log',
      namespace: 'shop',
      name: 'web-1',
    });
  });

  test('reads nothing that the policy forbids', async () => {
    objects.set(`${PODS}/web-1`, pod('web-1'));
    objects.set(`${PODS}/web-1/log`, 'N lines\n');
    const policy = { ...context.policy, access: () => refused('file/no-logs', 'No logs here') };
    const payload = { namespace: 'shop', pod: 'web-1' };
    expect((await failureOf(() => run('logs', payload, { policy }))).code).toBe('POLICY_DENIED');
    expect(requests).toEqual([`GET ${PODS}/web-1`]);
  });

  test('does not take for a log what the kubelet says of one that is gone', async () => {
    objects.set(`${PODS}/web-1`, pod('web-1'));
    objects.set(`${PODS}/web-1/log`, 'unable to retrieve container logs for containerd://c19d19e');
    const failure = await failureOf(() => run('logs', { namespace: 'shop', pod: 'web-1' }));
    expect(failure.code).toBe('NOT_FOUND');
  });

  test.each([
    ['neither a pod nor a Deployment', {}],
    ['both', { pod: 'web-1', name: 'web' }],
    ['no line', { pod: 'web-1', lines: 0 }],
    ['a name that is none', { pod: 'Web_1' }],
  ])('refuses %s', async (_, payload) => {
    expect((await failureOf(() => run('logs', payload))).code).toBe('COMMAND_INVALID');
  });
});

describe('exec', () => {
  const EXEC = { namespace: 'shop', name: 'web', command: ['true'] };

  test('runs in the first pod whose container runs, and asks the policy for that pod', async () => {
    deployWeb(pod('web-1', ['web'], { waiting: { reason: 'CrashLoopBackOff' } }), pod('web-2'));
    expect(await run('exec', EXEC)).toEqual({
      output: 'done',
      data: {
        pod: 'web-2',
        container: 'web',
        exit_code: 0,
        stdout: 'done',
        stderr: '',
        truncated: false,
      },
      truncated: false,
    });
    expect(asked).toEqual([
      {
        verb: 'create',
        group: '',
        resource: 'pods',
        subresource: 'exec',
        namespace: 'shop',
        name: 'web-2',
      },
    ]);
  });

  test('says why there is nothing to run it in', async () => {
    deployWeb(pod('web-1', ['web'], { waiting: { reason: 'ImagePullBackOff' } }));
    const failure = await failureOf(() => run('exec', EXEC));
    expect(failure.code).toBe('NOT_RUNNING');
    expect(failure.message).toContain('ImagePullBackOff');
  });

  test('names the containers when it cannot know which is meant', async () => {
    deployWeb(pod('web-1', ['web', 'side']));
    const failure = await failureOf(() => run('exec', EXEC));
    expect({ code: failure.code, details: failure.details }).toEqual({
      code: 'COMMAND_INVALID',
      details: { containers: ['web', 'side'] },
    });
  });

  test('says what came when it is cancelled', async () => {
    deployWeb(pod('web-1'));
    const openChannels: CommandContext['openChannels'] = async (request, handlers, signal) => {
      const stream = await context.openChannels(
        request,
        { data: () => undefined, ended: () => undefined },
        signal,
      );
      handlers.data(STDOUT, Buffer.from('half'));
      signal.addEventListener('abort', () => handlers.ended('it was interrupted'));
      setImmediate(() => stop.abort());
      return stream;
    };
    const failure = await failureOf(() => run('exec', EXEC, { openChannels }));
    expect({ code: failure.code, details: failure.details }).toEqual({
      code: 'COMMAND_CANCELLED',
      details: {
        pod: 'web-1',
        container: 'web',
        exit_code: null,
        stdout: 'half',
        stderr: '',
        truncated: false,
      },
    });
  });

  test('is not repeated after a crash', () => {
    expect(findHandler(COMMAND_HANDLERS, 'exec').afterRestart).toBe('fail');
  });
});

describe('drain', () => {
  const NODE = '/api/v1/nodes/one';

  test('notes what it does, and a rerun reports the whole', async () => {
    objects.set(NODE, { metadata: { name: 'one' }, spec: {} });
    objects.set('/api/v1/nodes', { items: [{ spec: {} }] });
    objects.set('/api/v1/pods', { items: [pod('web-1')] });
    const eviction = `${PODS}/web-1/eviction`;
    objects.set(eviction, { status: 'Success' });
    const checkpoint = { cordoned: true, evicted: ['shop/web-0'], evicting: [] };
    const { data } = await run('drain', { node: 'one' }, { checkpoint });
    expect(data).toEqual({
      node: 'one',
      cordoned: true,
      evicted: ['shop/web-0', 'shop/web-1'],
      refused: [],
      skipped: [],
    });
    expect(checkpoints).toEqual([
      checkpoint,
      { ...checkpoint, evicting: [{ uid: 'web-1', pod: 'shop/web-1' }] },
      { ...checkpoint, evicted: ['shop/web-0', 'shop/web-1'] },
    ]);
    expect(requests.filter((each) => !each.startsWith('GET'))).toEqual([
      `PATCH ${NODE}`,
      `POST ${eviction}`,
    ]);
  });

  test('says that no node is left to take the pods', async () => {
    objects.set(NODE, { metadata: { name: 'one' }, spec: { unschedulable: true } });
    objects.set('/api/v1/nodes', { items: [{ spec: { unschedulable: true } }] });
    objects.set('/api/v1/pods', { items: [] });
    const { output, data } = await run('drain', { node: 'one' });
    expect(output).toContain('No other node takes pods');
    expect(data['cordoned']).toBe(false);
  });

  test('does nothing to a node that is not there', async () => {
    expect((await failureOf(() => run('drain', { node: 'nowhere' }))).code).toBe('NOT_FOUND');
    expect(requests).toEqual(['GET /api/v1/nodes/nowhere']);
  });
});
