/** What the servers of a cluster share of the session: the name of the agent, the token, the policy. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sessionState } from '../../src/control-plane/session/state.ts';
import { liveAccess } from '../../src/daemon/control-plane-access.ts';
import { sharedSession } from '../../src/daemon/shared-session.ts';
import { tokenTrial } from '../../src/daemon/token-trial.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { livePolicy } from '../../src/policy/live.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import { openDatabase } from '../../src/store/database.ts';
import { agentIdentity } from '../../src/store/identity.ts';
import { sessionShare } from '../../src/store/session-share.ts';
import { failureOf } from '../support/failure-of.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { clientOf } from '../support/fake-kubernetes-client.ts';
import { memoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';

const SECRET = '/api/v1/namespaces/pipeops-system/secrets/pipeops-agent-session';
const POLICY = '/api/v1/namespaces/pipeops-system/configmaps/pipeops-agent-policy';
const URL = 'https://cp.example.com';

let kubernetes: FakeKubernetes;
let directory: TempDirectory;
let seed = 0;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  directory = await tempDirectory();
  kubernetes.put(SECRET, {});
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

interface Setup {
  readonly joined?: boolean;
  /** It is the only server. */
  readonly alone?: boolean;
  readonly token?: string;
  readonly controlPlane?: string;
  readonly policy?: string;
}

async function server(name: string, setup: Setup = {}) {
  const { joined = true, alone = false, token, controlPlane = URL } = setup;
  const { policy = 'preset: standard\n' } = setup;
  const path = join(directory.path, name);
  await mkdir(path, { recursive: true });
  const tokenPath = join(path, 'token');
  if (token !== undefined) {
    await writeFile(tokenPath, `${token}\n`);
  }
  await writeFile(join(path, 'policy.yaml'), policy);
  const files = systemFiles('/');
  const log = memoryLog();
  const { database } = openDatabase({ clock: systemClock }, join(path, 'agent.db'));
  closing.push(async () => database.close());
  const deps = { clock: systemClock, files, log };
  const access = await liveAccess(deps, {
    token: tokenPath,
    ca: undefined,
    proxyCredentials: join(path, 'proxy'),
  });
  seed += 1;
  const mark = { machine: null, hardware: null, boot: null };
  const identity = agentIdentity({ ...deps, database, random: seededRandom(seed) }, '', mark);
  let servers: readonly string[] | undefined;
  const memory = sessionShare(database, !joined);
  memory.note(alone);
  const live = await livePolicy(deps, join(path, 'policy.yaml'));
  const state = sessionState(deps, 'registering');
  const paths = { controlPlaneToken: tokenPath, tokenTrial: join(path, 'token.trial') };
  const ownToken = await tokenTrial({ ...deps, access, state }, paths);
  const shared = sharedSession(
    {
      ...deps,
      client: clientOf(kubernetes),
      access,
      ownToken,
      live,
      identity,
      memory,
      servers: () => servers,
    },
    { controlPlane, hasJoined: joined },
  );
  const signal = new AbortController().signal;
  return {
    knows: (...names: readonly string[]) => {
      servers = names;
    },
    shared,
    memory,
    access,
    log,
    id: identity.id,
    policy: live.policy,
    token: () => access.current().token,
    trial: ownToken,
    obstacle: () => shared.obstacle(signal),
    /** Root gives or takes the token on this server. */
    give: async (next: string | undefined) => {
      await (next === undefined ? rm(tokenPath) : writeFile(tokenPath, `${next}\n`));
      await access.reload();
    },
    file: () => readFile(tokenPath, 'utf8'),
  };
}

/** What the Secret says. */
function inSecret(): Record<string, string> {
  const { data = {} } = kubernetes.object(SECRET) as { data?: Record<string, string> };
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

test('the first server shares its name and token, and another one takes both', async () => {
  const first = await server('first', { joined: false, token: 'the-token' });
  expect(await first.obstacle()).toBeUndefined();
  expect(inSecret()).toEqual({ agent_id: first.id(), control_plane: URL, token: 'the-token' });
  const second = await server('second');
  expect(await second.obstacle()).toBeUndefined();
  expect([second.id(), second.token(), await second.file()]).toEqual([
    first.id(),
    'the-token',
    'the-token\n',
  ]);
  expect(JSON.stringify([first.log.entries, second.log.entries])).not.toContain('the-token');
});

test('a server that joined has nothing to say until another one has shared', async () => {
  const second = await server('second');
  expect(await second.obstacle()).toBe('no other server has shared its session yet');
  expect(inSecret()).toEqual({});
});

test('a server without a token that does not know that it joined takes none away from the others', async () => {
  const first = await server('first', { joined: false, token: 'the-token' });
  await first.obstacle();
  const second = await server('second', { joined: false });
  expect(await second.obstacle()).toBeUndefined();
  expect([second.token(), inSecret()['token']]).toEqual(['the-token', 'the-token']);
});

test('a token that root gives on one server reaches the others, and so does its end', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const second = await server('second');
  await second.obstacle();
  await second.give('two');
  await second.obstacle();
  await first.obstacle();
  expect([first.token(), inSecret()['token']]).toEqual(['two', 'two']);
  await first.give(undefined);
  await first.obstacle();
  await second.obstacle();
  expect([second.token(), inSecret()['token']]).toEqual([undefined, '']);
});

test('a token on trial stays on its server until it is settled', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  await first.trial.begin('two');
  await first.obstacle();
  expect([first.token(), inSecret()['token']]).toEqual(['two', 'one']);
  const second = await server('second');
  await second.obstacle();
  // The one that has the session now has tried it, too, and it was let in there.
  await second.give('two');
  await second.obstacle();
  await first.obstacle();
  expect([first.trial.settled(), await first.file(), inSecret()['token']]).toEqual([
    'two',
    'two\n',
    'two',
  ]);
});

test('the token goes to no other control plane than the one that root has set there', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const second = await server('second', { controlPlane: 'https://other.example.com' });
  expect(await second.obstacle()).toBe(
    `its control plane is https://other.example.com, and the session is for ${URL}`,
  );
  expect(second.token()).toBeUndefined();
});

test('an address in the Secret leads no server anywhere', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const second = await server('second');
  await second.obstacle();
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  kubernetes.put(SECRET, {
    data: { control_plane: base64('https://evil.example.com'), token: base64('evil') },
  });
  expect(await second.obstacle()).toContain('the session is for https://evil.example.com');
  expect(second.token()).toBe('one');
});

test('of the policy here and the one applied last in the cluster the stricter counts', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const cluster = PolicyFile.parse({ preset: 'standard', commands: { deny: ['drain'] } });
  kubernetes.put(POLICY, { data: { policy: JSON.stringify(cluster) } });
  const other = await server('other', { policy: 'commands: {deny: [deploy]}\n' });
  const same = await server('same', { policy: 'commands: {deny: [drain]}\n' });
  expect([await other.obstacle(), await same.obstacle()]).toEqual([undefined, undefined]);
  expect([other.shared.problems(), same.shared.problems()]).toEqual([
    [expect.stringContaining('of both the stricter counts')],
    [],
  ]);
  const allowed = (each: typeof other) =>
    ['drain', 'deploy', 'scale'].filter(
      (type) => each.policy.command({ type, namespace: 'shop' }).allowed,
    );
  expect([allowed(other), allowed(same)]).toEqual([['scale'], ['deploy', 'scale']]);
  // One that was never among several has the file of root alone.
  const only = await server('only', { alone: true });
  await only.obstacle();
  expect(allowed(only)).toEqual(['drain', 'deploy', 'scale']);
});

test('what root narrowed on a lost server stays narrow until root applies a policy on the only one left', async () => {
  const cluster = PolicyFile.parse({ preset: 'standard', commands: { deny: ['drain'] } });
  kubernetes.put(POLICY, { data: { policy: JSON.stringify(cluster) } });
  const left = await server('left', { joined: false, token: 'one' });
  await left.obstacle();
  const standing = ({ policy, shared }: typeof left) => ({
    drains: policy.command({ type: 'drain', namespace: 'shop' }).allowed,
    problems: shared.problems(),
  });
  const narrow = {
    drains: false,
    problems: [expect.stringContaining('of both the stricter counts')],
  };
  left.memory.note(true);
  await left.obstacle();
  expect(standing(left)).toEqual(narrow);
  // Also at the next start, before Kubernetes was asked, and while it cannot be.
  kubernetes.failWith = 503;
  const again = await server('left', { joined: false, alone: true, token: 'one' });
  expect(standing(again)).toEqual(narrow);
  expect((await failureOf(again.obstacle)).code).toBe('KUBERNETES_API');
  expect(standing(again)).toEqual(narrow);
  kubernetes.failWith = undefined;
  kubernetes.put(POLICY, { data: { policy: JSON.stringify(PolicyFile.parse({})) } });
  await again.obstacle();
  expect(standing(again)).toEqual({ drains: true, problems: [] });
  // From then on its own file counts, as on any only server.
  kubernetes.put(POLICY, { data: { policy: JSON.stringify(cluster) } });
  await again.obstacle();
  expect(standing(again)).toEqual({ drains: true, problems: [] });
});

test('what root refuses on one server is not asked of the helper on another', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const cluster = PolicyFile.parse({
    ...{ preset: 'standard', host: { join_token: 'allow', server_token: 'deny' } },
  });
  kubernetes.put(POLICY, { data: { policy: JSON.stringify(cluster) } });
  const other = await server('other', {
    policy: 'host: {join_token: allow, server_token: allow}\n',
  });
  const allowed = () =>
    (['join_token', 'server_token'] as const).map(
      (hostVerb) => other.policy.command({ type: 'join_token', hostVerb }).allowed,
    );
  expect(allowed()).toEqual([true, true]);
  await other.obstacle();
  expect(allowed()).toEqual([true, false]);
});

test('a policy that its version cannot read keeps a server from the session', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  kubernetes.put(POLICY, { data: { policy: '{"preset":"standard","of_a_later_version":true}' } });
  const second = await server('second');
  expect(await second.obstacle()).toBe(
    'its version cannot read the policy that was applied last in the cluster',
  );
  // The key may be a prohibition.
  expect(second.policy.command({ type: 'deploy', namespace: 'shop' }).allowed).toBe(false);
});

test('an only server keeps its token to itself, until there is another server, and again after that', async () => {
  const first = await server('first', { joined: false, alone: true, token: 'one' });
  await first.obstacle();
  expect(inSecret()).toEqual({});
  const second = await server('second');
  expect(await second.obstacle()).toBe('no other server has shared its session yet');
  expect(first.shared.isShared()).toBe(false);
  first.knows('first', 'second');
  await first.obstacle();
  await second.obstacle();
  expect([inSecret()['token'], second.token(), first.shared.isShared()]).toEqual([
    ...['one', 'one'],
    true,
  ]);
  first.knows('first');
  await first.obstacle();
  expect(inSecret()).toEqual({ agent_id: '', control_plane: '', token: '' });
  await first.give('two');
  first.knows('first', 'second');
  await first.obstacle();
  await second.obstacle();
  expect([first.token(), second.token()]).toEqual(['two', 'two']);
});

test('what was taken out of the Secret is shared again by a server that knows it', async () => {
  const first = await server('first', { joined: false, token: 'one' });
  await first.obstacle();
  const second = await server('second');
  await second.obstacle();
  // Somebody has deleted it, and root's "install" has made it again; or it is of a snapshot.
  kubernetes.put(SECRET, { data: { agent_id: '', control_plane: '', token: '' } });
  expect([await second.obstacle(), await first.obstacle()]).toEqual([undefined, undefined]);
  expect(inSecret()).toEqual({ agent_id: first.id(), control_plane: URL, token: 'one' });
  expect([first.token(), second.token()]).toEqual(['one', 'one']);
});

test('a copy of an only server takes no name from the data that were copied with it', async () => {
  const original = await server('original', { joined: false, token: 'one' });
  await original.obstacle();
  const copy = await server('copy', { joined: false, alone: true, token: 'one' });
  await copy.obstacle();
  expect(inSecret()['agent_id']).toBe('');
  expect(copy.id()).not.toBe(original.id());
});

test('where the only server that had shared nothing is lost, a token given by root begins anew', async () => {
  const second = await server('second');
  await second.give('given-by-root');
  expect(await second.obstacle()).toBeUndefined();
  expect(inSecret()).toEqual({
    ...{ agent_id: second.id(), control_plane: URL, token: 'given-by-root' },
  });
});

test('it follows what changes, and is quiet while the API is down', async () => {
  const first = await server('first', { joined: false, alone: true, token: 'one' });
  kubernetes.failWith = 503;
  const stop = new AbortController();
  const { done } = await first.shared.service.start(stop.signal);
  await until('it has asked', () => kubernetes.requests.length > 0);
  kubernetes.failWith = undefined;
  first.knows('first', 'second');
  await first.give('two');
  await until('it has shared', () => inSecret()['token'] === 'two');
  stop.abort();
  await done;
  expect(first.log.entries.filter(({ level }) => level === 'warn')).toEqual([]);
});
