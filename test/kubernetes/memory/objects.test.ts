/** What the agents of a cluster remember together, as Secrets of a Kubernetes API over HTTPS. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { isRejectedWith } from '../../../src/kubernetes/api/rejection.ts';
import {
  INLINE_BYTES_MAX,
  type MemoryObject,
  type MemoryObjects,
  memoryObjects,
} from '../../../src/kubernetes/memory/objects.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemRandom } from '../../../src/platform/random.ts';
import { failureOf } from '../../support/failure-of.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../../support/fake-kubernetes.ts';
import { clientOf } from '../../support/fake-kubernetes-client.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const PATH = '/api/v1/namespaces/pipeops-system/secrets';

let kubernetes: FakeKubernetes;
let objects: MemoryObjects;
beforeEach(async () => {
  kubernetes = await startFakeKubernetes();
  objects = memoryObjects({
    clock: systemClock,
    random: systemRandom,
    client: clientOf(kubernetes),
  });
});
afterEach(async () => await kubernetes[Symbol.asyncDispose]());

/** Lines that do not become much shorter by packing. */
function noise(bytes: number): readonly string[] {
  const random = seededRandom(7);
  const line = () => JSON.stringify(Buffer.from(random.bytes(3_000)).toString('base64'));
  return Array.from({ length: Math.ceil(bytes / 3_000) }, line);
}

async function all(kind: 'command' | 'delivered'): Promise<readonly MemoryObject[]> {
  const found: MemoryObject[] = [];
  await objects.each(kind, async (object) => void found.push(object));
  return found;
}

const secretsThere = () =>
  kubernetes.paths().filter((path) => path.startsWith(`${PATH}/pipeops-agent-memory-`));

test('an object is made, read, changed and taken away', async () => {
  const made = await objects.create('command', 'one', {
    head: '{"v":1}',
    values: { command: ['{"a":1}', '"ä\\n"'] },
  });
  expect(await objects.find('one')).toEqual(made);
  expect(await objects.read(made, 'command')).toEqual(['{"a":1}', '"ä\\n"']);
  expect(kubernetes.object(`${PATH}/pipeops-agent-memory-one`)).toMatchObject({
    type: 'pipeops.io/memory',
    metadata: { labels: { 'pipeops.io/memory': 'command' } },
  });

  const values = { command: null, result: ['"done"'] };
  const changed = await objects.change(made, { head: '{"v":2}', values });
  expect(await objects.find('one')).toEqual(changed);
  expect({ head: changed.head, values: Object.keys(changed.values) }).toEqual({
    head: '{"v":2}',
    values: ['result'],
  });
  expect(await objects.read(changed, 'result')).toEqual(['"done"']);
  expect(await objects.read(changed, 'command')).toBe(undefined);

  await objects.remove(changed);
  expect(await objects.find('one')).toBe(undefined);
});

test('who has not seen the last change is refused', async () => {
  const content = { head: '{}', values: {} };
  const made = await objects.create('command', 'one', content);
  const again = await failureOf(() => objects.create('command', 'one', content));
  expect(isRejectedWith(409, again)).toBe(true);
  await objects.change(made, { head: '{"a":1}', values: {} });
  const late = await failureOf(() => objects.change(made, { head: '{"a":2}', values: {} }));
  expect(isRejectedWith(409, late)).toBe(true);
  expect((await objects.find('one'))?.head).toBe('{"a":1}');
  await objects.remove(made);
  const gone = await failureOf(() => objects.change(made, content));
  expect(isRejectedWith(409, gone) || isRejectedWith(404, gone)).toBe(true);
});

test('a large value stands in Secrets of its own, which the object owns, and goes with its change', async () => {
  const lines = noise(900_000);
  const made = await objects.create('command', 'large', { head: '{}', values: { command: lines } });
  expect(made.bytes).toBeGreaterThan(800_000);
  expect(await objects.read(made, 'command')).toEqual(lines);
  const parts = secretsThere().filter((path) => !path.endsWith('-large'));
  expect(parts.length).toBe(2);
  for (const path of parts) {
    const { metadata, ...part } = kubernetes.object(path) as unknown as {
      metadata: object;
      data: { part: string };
    };
    expect(part.data.part.length).toBeLessThan(1024 * 1024);
    expect(metadata).toMatchObject({
      labels: { 'pipeops.io/memory': 'part' },
      ownerReferences: [{ kind: 'Secret', name: 'pipeops-agent-memory-large', uid: made.uid }],
    });
  }
  // It is not among those that are looked through, and the object itself is small.
  expect((await all('command')).map(({ name }) => name)).toEqual(['large']);
  const stored = JSON.stringify(kubernetes.object(`${PATH}/pipeops-agent-memory-large`));
  expect(stored.length).toBeLessThan(INLINE_BYTES_MAX);

  const changed = await objects.change(made, { head: '{}', values: { command: ['1'] } });
  expect(await objects.read(changed, 'command')).toEqual(['1']);
  expect(secretsThere()).toEqual([`${PATH}/pipeops-agent-memory-large`]);
});

test('a value of which a part is gone, or that is no packed one, is damaged', async () => {
  const content = { head: '{}', values: { command: noise(600_000) } };
  const made = await objects.create('command', 'large', content);
  const small = await objects.create('command', 'small', { head: '{}', values: { note: ['1'] } });
  const part = made.values['command'];
  for (const { name, uid } of part === undefined || part instanceof Uint8Array ? [] : part.parts) {
    await objects.remove({ ...made, name, uid });
  }
  const broken = { ...small, values: { note: Buffer.from('not packed') } };
  expect(await failureOf(() => objects.read(made, 'command'))).toMatchObject({
    code: 'STORE_CORRUPT',
  });
  expect(await failureOf(() => objects.read(broken, 'note'))).toMatchObject({
    code: 'STORE_CORRUPT',
  });
});

test('all objects of a kind are found, however many pages that are', async () => {
  const names = Array.from({ length: 60 }, (_, index) => `c${index}`);
  for (const name of names) {
    await objects.create('command', name, { head: `"${name}"`, values: {} });
  }
  await objects.create('delivered', 'list', { head: '{}', values: {} });
  expect((await all('command')).map(({ name }) => name).sort()).toEqual(names.sort());
  expect((await all('delivered')).map(({ name }) => name)).toEqual(['list']);
});
