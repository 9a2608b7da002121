/**
 * Which server has the session: three servers with clocks of their own and one API, all in one time that
 * the test moves. Only what the Lease says is compared: what runs on machines is in test/e2e/servers-lost.
 */
import { beforeEach, describe, expect, test } from 'bun:test';
import type { KubernetesObject, V1Lease } from '@kubernetes/client-node';
import { AgentError } from '../../../src/core/errors.ts';
import { ApiRejection } from '../../../src/kubernetes/api/rejection.ts';
import {
  type Election,
  FIRST_LOOK_LIMIT_MS,
  LEASE_DURATION_MS,
  RENEW_DEADLINE_MS,
  sessionElection,
} from '../../../src/kubernetes/lease/election.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const STEP_MS = 100;
const TAKE_OVER_MAX_MS = LEASE_DURATION_MS + 3_000;
const NAMES = ['one', 'two', 'three'] as const;

/** One Lease, which takes a write only over the version that its writer has read. */
function leaseApi() {
  let stored: V1Lease | undefined = { metadata: { name: 'pipeops-agent', resourceVersion: '1' } };
  const rejected = (status: number) =>
    new ApiRejection('KUBERNETES_API', `status ${status}`, { status, reason: 'Test' }, 'Wait');
  return {
    lease: () => stored,
    remove: () => {
      stored = undefined;
    },
    write: (spec: NonNullable<V1Lease['spec']>) => {
      const resourceVersion = String(Number(stored?.metadata?.resourceVersion) + 1);
      stored = { ...stored, metadata: { ...stored?.metadata, resourceVersion }, spec };
    },
    find: async () => structuredClone(stored),
    replace: async (object: V1Lease) => {
      if (stored === undefined) {
        throw rejected(404);
      }
      if (object.metadata?.resourceVersion !== stored.metadata?.resourceVersion) {
        throw rejected(409);
      }
      const resourceVersion = String(Number(stored.metadata?.resourceVersion) + 1);
      stored = structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion } });
      return structuredClone(stored);
    },
  };
}

type Reach = 'whole' | 'refused' | 'silent' | 'answers-lost';

interface Server {
  readonly node: string;
  readonly clock: ManualClock;
  readonly election: Election;
  /** How it reaches the API. */
  reach: Reach;
  knows: readonly string[] | undefined;
  obstacle: string | undefined;
  isAlone: boolean;
  isDiskFull: boolean;
  /** Whether what only the holder may do goes on. */
  works: boolean;
  /** How long its work needs to end, ms. */
  endMs: number;
  lost: number;
  foundTaken: number;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

let api: ReturnType<typeof leaseApi>;
let servers: Server[];
let both: number;

beforeEach(() => {
  api = leaseApi();
  servers = [];
  both = 0;
});

/** @param start of its wall clock, which nobody else's agrees with */
function boot(
  node: string,
  {
    alone = false,
    knows = NAMES as readonly string[] | undefined,
    start = '2026-01-01T00:00:00Z',
  } = {},
): Server {
  const clock = manualClock(start);
  const reached = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    const { reach } = server;
    if (reach === 'refused') {
      throw new AgentError('KUBERNETES_API', 'the API does not answer', { hint: 'Wait' });
    }
    if (reach === 'silent') {
      await clock.sleep(3_600_000, signal);
      throw new AgentError('INTERRUPTED', 'interrupted');
    }
    const answer = await work();
    if (reach === 'answers-lost') {
      await clock.sleep(3_600_000, signal);
    }
    return answer;
  };
  const stop = new AbortController();
  const election = sessionElection(
    {
      clock,
      log: memoryLog(),
      client: {
        find: async <T extends KubernetesObject>(_: string, signal: AbortSignal) =>
          (await reached(signal, api.find)) as T | undefined,
        replace: async <T extends KubernetesObject>(
          _: string,
          object: unknown,
          signal: AbortSignal,
        ) => (await reached(signal, () => api.replace(object as V1Lease))) as T,
      },
      memory: {
        isAlone: () => server.isAlone,
        note: (isAlone) => {
          if (server.isDiskFull) {
            throw new AgentError('DISK_FULL', 'no space left', { hint: 'Free some' });
          }
          server.isAlone = isAlone;
        },
      },
      servers: () => server.knows,
      obstacle: async () => server.obstacle,
      onFoundTaken: () => {
        server.foundTaken += 1;
      },
      onLost: () => {
        server.lost += 1;
        server.works = false;
      },
    },
    { node, startId: crypto.randomUUID() },
  );
  const work = async (signal: AbortSignal) => {
    server.works = true;
    while (!signal.aborted) {
      await clock.sleep(3_600_000, signal);
    }
    await clock.sleep(server.endMs);
    server.works = false;
  };
  const server: Server = {
    ...{ node, clock, election, stop, knows, works: false, lost: 0, foundTaken: 0, endMs: 0 },
    ...{ reach: 'whole' as Reach, obstacle: undefined, isAlone: alone, isDiskFull: false },
    done: Promise.resolve().then(() => election.run(work, stop.signal)),
  };
  servers.push(server);
  return server;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Moves the time of all servers, and counts the moments in which two of them worked. */
async function pass(ms: number): Promise<void> {
  await settle();
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    for (const { clock } of servers) {
      clock.advance(STEP_MS);
    }
    await settle();
    both += servers.filter(({ works }) => works).length > 1 ? 1 : 0;
  }
}

/** Its machine loses power. */
function kill(server: Server): void {
  server.reach = 'silent';
  server.works = false;
  servers = servers.filter((each) => each !== server);
}

const working = () => servers.filter(({ works }) => works).map(({ node }) => node);

describe('one of several servers', () => {
  test('has the session, and keeps it', async () => {
    for (const node of NAMES) {
      boot(node);
    }
    await pass(5_000);
    const [first] = working();
    expect(working()).toEqual([first ?? '']);
    await pass(60_000);
    expect({ working: working(), both, lost: servers.map(({ lost }) => lost) }).toEqual({
      working: [first ?? ''],
      both: 0,
      lost: [0, 0, 0],
    });
    expect(servers.map(({ election }) => election.standing().holder)).toEqual(
      NAMES.map(() => first ?? ''),
    );
  });

  test('takes over from one that died, when the time is over and not before', async () => {
    const one = boot('one');
    await pass(5_000);
    boot('two', { start: '2031-01-01T00:00:00Z' });
    boot('three', { start: '2019-01-01T00:00:00Z' });
    await pass(5_000);
    kill(one);
    await pass(RENEW_DEADLINE_MS);
    expect(working()).toEqual([]);
    await pass(TAKE_OVER_MAX_MS - RENEW_DEADLINE_MS);
    expect({ count: working().length, both }).toEqual({ count: 1, both: 0 });
  });

  test('takes over at once from one that stops, but only when that one has ended its work', async () => {
    const one = boot('one');
    await pass(2_000);
    boot('two');
    one.endMs = 15_000;
    one.stop.abort();
    await pass(14_000);
    expect(working()).toEqual(['one']);
    await pass(3_000);
    await one.done;
    expect({ working: working(), both }).toEqual({ working: ['two'], both: 0 });
    expect(api.lease()?.spec?.leaseTransitions).toBe(2);
  });

  test('has stopped before anybody else begins when it cannot renew', async () => {
    for (const reach of ['refused', 'silent', 'answers-lost'] as const) {
      beforeEachAgain();
      const one = boot('one');
      await pass(2_000);
      boot('two');
      await pass(2_000);
      one.reach = reach;
      await pass(RENEW_DEADLINE_MS + STEP_MS);
      expect([reach, working(), one.lost]).toEqual([reach, [], 1]);
      await pass(TAKE_OVER_MAX_MS * 2);
      expect([reach, working(), both]).toEqual([reach, ['two'], 0]);
    }
  });

  test('goes on where single renewals fail', async () => {
    const one = boot('one');
    boot('two');
    await pass(2_000);
    const [first] = servers.filter(({ works }) => works);
    for (let outage = 0; outage < 5; outage += 1) {
      (first ?? one).reach = 'refused';
      await pass(5_000);
      (first ?? one).reach = 'whole';
      await pass(3_000);
    }
    expect({ works: first?.works, lost: first?.lost, both }).toEqual({
      works: true,
      lost: 0,
      both: 0,
    });
  });

  test('takes up its own Lease at once after a restart', async () => {
    const before = boot('one');
    await pass(3_000);
    kill(before);
    boot('one');
    await pass(1_000);
    expect({ working: working(), both }).toEqual({ working: ['one'], both: 0 });
  });

  test('does not take it while something is against it, and says what', async () => {
    const one = boot('one');
    one.obstacle = 'its policy is another one';
    await pass(5_000);
    expect(working()).toEqual([]);
    expect(one.election.standing()).toEqual({
      isHeld: false,
      holder: undefined,
      obstacle: 'its policy is another one',
    });
  });

  test('loses it where somebody has given it to nobody', async () => {
    const one = boot('one');
    await pass(5_000);
    api.write({ holderIdentity: '' });
    await pass(3_000);
    expect(one.lost).toBe(1);
  });
});

describe('an only server', () => {
  test('has the session at once and for as long as the API is down', async () => {
    const one = boot('one', { alone: true, knows: undefined });
    one.reach = 'silent';
    await pass(3_600_000 / 20);
    expect({ working: working(), lost: one.lost }).toEqual({ working: ['one'], lost: 0 });
    one.reach = 'whole';
    one.knows = ['one'];
    await pass(15_000);
    expect(api.lease()?.spec?.holderIdentity).toStartWith('one_');
    expect(api.lease()?.spec?.leaseDurationSeconds).toBeUndefined();
    one.reach = 'refused';
    await pass(60_000);
    expect({ working: working(), lost: one.lost }).toEqual({ working: ['one'], lost: 0 });
  });

  test('goes on where there is no Lease yet', async () => {
    api.remove();
    boot('one', { alone: true, knows: ['one'] });
    await pass(60_000);
    expect(working()).toEqual(['one']);
  });

  test('keeps it from others, however long it is silent, until it knows of them', async () => {
    const one = boot('one', { alone: true, knows: ['one'] });
    await pass(12_000);
    one.reach = 'refused';
    boot('two', { knows: ['one', 'two'] });
    await pass(120_000);
    expect({ working: working(), both }).toEqual({ working: ['one'], both: 0 });
    one.reach = 'whole';
    one.knows = ['one', 'two'];
    await pass(3_000);
    expect({ working: working(), alone: one.isAlone }).toEqual({ working: ['one'], alone: false });
    expect(api.lease()?.spec?.leaseDurationSeconds).toBe(LEASE_DURATION_MS / 1_000);
    one.reach = 'refused';
    await pass(TAKE_OVER_MAX_MS + RENEW_DEADLINE_MS);
    expect({ working: working(), both }).toEqual({ working: ['two'], both: 0 });
  });

  test('is only one again when the others have left', async () => {
    const one = boot('one');
    await pass(3_000);
    one.knows = ['one'];
    await pass(3_000);
    one.reach = 'silent';
    await pass(60_000);
    expect({ working: working(), alone: one.isAlone }).toEqual({ working: ['one'], alone: true });
  });

  test('keeps it over a stop: its next start may find the API down', async () => {
    const one = boot('one', { alone: true, knows: ['one'] });
    await pass(3_000);
    one.stop.abort();
    await pass(3_000);
    await one.done;
    expect({
      holder: api.lease()?.spec?.holderIdentity?.split('_')[0],
      alone: one.isAlone,
    }).toEqual({
      holder: 'one',
      alone: true,
    });
  });

  test('looks first, and does nothing where another server has it', async () => {
    const two = boot('two');
    await pass(3_000);
    const one = boot('one', { alone: true, knows: undefined });
    await pass(30_000);
    expect({
      ...{ working: working(), both, lost: [one.lost, two.lost], alone: one.isAlone },
      foundTaken: one.foundTaken,
      standing: one.election.standing(),
    }).toEqual({
      ...{ working: ['two'], both: 0, lost: [0, 0], alone: false },
      foundTaken: 1,
      standing: { isHeld: false, holder: 'two', obstacle: undefined },
    });
  });

  test('waits for that look no longer than for any request', async () => {
    const one = boot('one', { alone: true, knows: undefined });
    one.reach = 'silent';
    await pass(FIRST_LOOK_LIMIT_MS - STEP_MS);
    expect(working()).toEqual([]);
    await pass(STEP_MS);
    expect(working()).toEqual(['one']);
  });

  test('ends at a stop while it looks', async () => {
    const one = boot('one', { alone: true, knows: undefined });
    one.reach = 'silent';
    await pass(STEP_MS);
    one.stop.abort();
    await pass(STEP_MS);
    await one.done;
    expect({ working: working(), standing: one.election.standing() }).toEqual({
      working: [],
      standing: { isHeld: false, holder: undefined, obstacle: undefined },
    });
  });

  test('leaves it to a server that has it, when it could not look at first', async () => {
    const two = boot('two');
    await pass(3_000);
    const one = boot('one', { alone: true, knows: undefined });
    one.reach = 'refused';
    await pass(3_000);
    one.reach = 'whole';
    await pass(3_000);
    expect({ working: working(), lost: [one.lost, two.lost] }).toEqual({
      working: ['two'],
      lost: [1, 0],
    });
  });

  test.each(['whole', 'refused'] as const)(
    'leaves it also where it cannot note that it is not the only one any more: %s',
    async (atFirst) => {
      const two = boot('two');
      await pass(3_000);
      const one = boot('one', { alone: true, knows: undefined });
      one.isDiskFull = true;
      one.reach = atFirst;
      await pass(3_000);
      one.reach = 'whole';
      await pass(3_000);
      expect({ working: working(), lost: [one.lost, two.lost] }).toEqual({
        working: ['two'],
        lost: [atFirst === 'refused' ? 1 : 0, 0],
      });
    },
  );

  test('is replaced when a person has taken its node out of the cluster', async () => {
    const one = boot('one', { alone: true, knows: ['one'] });
    await pass(12_000);
    kill(one);
    const two = boot('two', { knows: ['one', 'two'] });
    await pass(60_000);
    expect(working()).toEqual([]);
    two.knows = ['two', 'three'];
    await pass(2_000);
    expect(working()).toEqual(['two']);
  });
});

test('whatever happens to the network, the machines and the API, never do two servers work', async () => {
  const seed = Number(process.env['SEED'] ?? 1);
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]) => from[Math.floor(random.fraction() * from.length)] as T;
  let held = 0;
  for (const node of NAMES) {
    boot(node);
  }
  for (let round = 0; round < 150; round += 1) {
    const server = pick(servers);
    const fate = random.fraction();
    if (fate < 0.7) {
      server.reach = pick(['whole', 'whole', 'whole', 'refused', 'silent', 'answers-lost']);
    } else if (fate < 0.85) {
      kill(server);
      boot(server.node);
    } else {
      server.stop.abort();
      await pass(4_000);
      kill(server);
      boot(server.node);
    }
    await pass(Math.ceil(random.fraction() * 120) * STEP_MS);
    held += working().length;
  }
  expect([seed, both]).toEqual([seed, 0]);
  expect(held).toBeGreaterThan(20);
});

function beforeEachAgain(): void {
  api = leaseApi();
  servers = [];
}
