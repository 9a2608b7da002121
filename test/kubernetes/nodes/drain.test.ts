import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import {
  type DrainProgress,
  type DrainState,
  drainNode,
} from '../../../src/kubernetes/nodes/drain.ts';
import { planFor } from '../../../src/kubernetes/nodes/drain-plan.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

type Answer = () => Response | undefined;

interface Pod {
  readonly metadata: Record<string, unknown> & { name: string; namespace: string; uid: string };
  readonly status?: { phase: string };
}

const never = new AbortController().signal;
const BUDGET = 'The disruption budget web needs 2 healthy pods and has 2 currently';

let server: Bun.Server<undefined>;
let pods: Pod[] = [];
let clock: ManualClock;
/** `POST path body` of each eviction. */
let evictions: { path: string; deleteOptions: unknown }[] = [];
/** What an eviction is answered: undefined lets the pod go at once. */
let onEvict: Answer = () => undefined;
let onList: Answer = () => undefined;

beforeEach(() => {
  pods = [];
  evictions = [];
  onEvict = () => undefined;
  onList = () => undefined;
  clock = manualClock();
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === 'GET') {
        return onList() ?? Response.json({ metadata: {}, items: pods });
      }
      const { deleteOptions } = (await request.json()) as { deleteOptions: unknown };
      evictions.push({ path: pathname, deleteOptions });
      const refusal = onEvict();
      if (refusal === undefined) {
        pods = pods.filter(({ metadata }) => !pathname.includes(`/${metadata.name}/`));
      }
      return refusal ?? Response.json({ kind: 'Status', status: 'Success' }, { status: 201 });
    },
  });
});
afterEach(async () => await server.stop(true));

function pod(name: string, extra: Record<string, unknown> = {}): Pod {
  const ownerReferences = [{ kind: 'ReplicaSet', name: 'web', controller: true }];
  return { metadata: { name, namespace: 'shop', uid: `uid-${name}`, ownerReferences, ...extra } };
}

function refusal(status: number, message: string, cause?: string): Response {
  const details = cause === undefined ? {} : { causes: [{ message: cause }] };
  return Response.json({ kind: 'Status', message, details }, { status });
}

function drain(
  options: { signal?: AbortSignal; before?: DrainProgress; grace?: number } = {},
  onRound: () => void = () => undefined,
) {
  const current = async () => ({ server: server.url.href, ca: '', token: 'token' });
  const credentials = { current, reload: () => undefined };
  const client = kubernetesClient({ clock: systemClock, http: systemHttp, credentials });
  const rounds: DrainState[] = [];
  const drained = drainNode(
    { clock, client },
    {
      node: 'one',
      graceSeconds: options.grace,
      timeoutMs: 60_000,
      before: options.before ?? { evicted: [], evicting: [] },
    },
    async (state) => {
      rounds.push(state);
      onRound();
    },
    options.signal ?? never,
  );
  return { drained, rounds };
}

/** Moves the clock whenever the drain waits, until it is over. */
async function whileWaiting<T>(work: Promise<T>): Promise<T> {
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  for (;;) {
    await Promise.race([ended.catch(() => undefined), clock.whenSleeping(1)]);
    if (over) {
      return await ended;
    }
    clock.advance(1_000);
  }
}

describe('planFor()', () => {
  const plan = (extra: Record<string, unknown>, status?: { phase: string }) =>
    planFor({ ...pod('web-1', extra), ...(status === undefined ? {} : { status }) } as never);

  test('evicts what a controller starts again elsewhere', () => {
    expect(plan({})).toEqual({ action: 'evict' });
  });

  test.each([
    ['a DaemonSet', { ownerReferences: [{ kind: 'DaemonSet', name: 'log', controller: true }] }],
    ['the node itself', { annotations: { 'kubernetes.io/config.mirror': 'x' } }],
    ['the agent', { namespace: 'pipeops-system' }],
  ])('lets pods of %s stay', (_, extra) => {
    expect(plan(extra).action).toBe('skip');
  });

  test('lets what has ended stay', () => {
    expect(plan({}, { phase: 'Succeeded' })).toEqual({ action: 'skip', reason: 'it has ended' });
  });

  test('does not evict what nothing would start again, but waits when it ends already', () => {
    expect(plan({ ownerReferences: [] }).action).toBe('refuse');
    const ending = { ownerReferences: [], deletionTimestamp: '2026-01-01T00:00:00Z' };
    expect(plan(ending)).toEqual({ action: 'evict' });
  });
});

describe('drainNode()', () => {
  test('evicts just the pod that it saw, with the grace that was asked for', async () => {
    pods = [pod('web-1')];
    const { drained } = drain({ grace: 5 });
    expect(await whileWaiting(drained)).toEqual({
      evicted: ['shop/web-1'],
      evicting: [],
      refused: [],
      skipped: [],
    });
    expect(evictions).toEqual([
      {
        path: '/api/v1/namespaces/shop/pods/web-1/eviction',
        deleteOptions: { preconditions: { uid: 'uid-web-1' }, gracePeriodSeconds: 5 },
      },
    ]);
  });

  test('asks again what a disruption budget refuses, until it allows it', async () => {
    pods = [pod('web-1')];
    let refusals = 3;
    onEvict = () => (refusals-- > 0 ? refusal(429, 'Cannot evict', BUDGET) : undefined);
    const { drained, rounds } = drain();
    expect((await whileWaiting(drained)).evicted).toEqual(['shop/web-1']);
    expect(rounds[1]?.refused).toEqual([{ pod: 'shop/web-1', reason: BUDGET }]);
    expect(evictions).toHaveLength(4);
  });

  test('names the budget when the time is over, and asked with growing waits', async () => {
    pods = [pod('web-1')];
    onEvict = () => refusal(429, 'Cannot evict', BUDGET);
    const { drained } = drain();
    expect((await whileWaiting(drained)).refused).toEqual([{ pod: 'shop/web-1', reason: BUDGET }]);
    expect(evictions.length).toBeGreaterThan(4);
    expect(evictions.length).toBeLessThan(11);
  });

  test('does not wait for what it will not evict', async () => {
    pods = [pod('alone', { ownerReferences: [] })];
    const { drained } = drain();
    const { refused } = await drained;
    expect(refused.map((each) => each.pod)).toEqual(['shop/alone']);
  });

  test('waits for the end of a pod', async () => {
    pods = [pod('slow', { deletionTimestamp: '2026-01-01T00:00:00Z' })];
    const { drained } = drain();
    await clock.whenSleeping(1);
    pods = [];
    expect((await whileWaiting(drained)).evicted).toEqual(['shop/slow']);
    expect(evictions).toEqual([]);
  });

  test('waits for an API that is away', async () => {
    pods = [pod('web-1')];
    let away = 3;
    onList = () => (away-- > 0 ? refusal(503, 'starting') : undefined);
    const { drained } = drain();
    expect((await whileWaiting(drained)).evicted).toEqual(['shop/web-1']);
  });

  test('fails when it may not look', async () => {
    onList = () => refusal(403, 'forbidden');
    const failure = await failureOf(() => drain().drained);
    expect({ code: failure.code, status: failure.details?.['status'] }).toEqual({
      code: 'KUBERNETES_API',
      status: 403,
    });
  });

  test('stops at the signal and says how far it came, with what an earlier attempt did', async () => {
    pods = [pod('web-1')];
    onEvict = () => refusal(429, 'Cannot evict', BUDGET);
    const stop = new AbortController();
    const before = { evicted: ['shop/web-0'], evicting: [] };
    const { drained } = drain({ signal: stop.signal, before });
    await clock.whenSleeping(1);
    stop.abort();
    expect(await drained).toEqual({
      evicted: ['shop/web-0'],
      evicting: [{ uid: 'uid-web-1', pod: 'shop/web-1' }],
      refused: [{ pod: 'shop/web-1', reason: BUDGET }],
      skipped: [],
    });
  });

  test('tells what it will evict before it does, and counts what an earlier attempt asked for', async () => {
    pods = [pod('web-1')];
    const evicting = ['web-0', 'web-1'].map((name) => ({
      uid: `uid-${name}`,
      pod: `shop/${name}`,
    }));
    const told: number[] = [];
    const { drained, rounds } = drain({ before: { evicted: [], evicting } }, () =>
      told.push(evictions.length),
    );
    expect((await whileWaiting(drained)).evicted).toEqual(['shop/web-0', 'shop/web-1']);
    expect(rounds[0]?.evicting).toEqual([{ uid: 'uid-web-1', pod: 'shop/web-1' }]);
    expect({ told, evictions: evictions.length }).toEqual({ told: [0, 1], evictions: 1 });
  });
});
