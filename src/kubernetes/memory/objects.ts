/**
 * What the agents of one cluster remember together: small objects that only they read, and that are
 * changed by just one of them at a time. Each is a Secret, because what a command carries may be secret. A
 * value that is large stands in Secrets of its own, which Kubernetes takes away with the first.
 */
import type { V1Secret } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { KINDS, pathOfKind, pathOfObject, typeOf } from '../../core/kinds.ts';
import { MANAGED_BY, MEMORY_LABEL, MEMORY_SECRET } from '../../core/labels.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { withDeadline } from '../../core/waiting.ts';
import { AGENT_NAMESPACE, MEMORY_PREFIX } from '../account/rbac.ts';
import type { KubernetesClient } from '../api/client.ts';

/** Deadline of one request. */
const REQUEST_TIMEOUT_MS = 10_000;
/**
 * A packed value up to this size stands in the object itself. Every change writes the whole object anew,
 * and etcd keeps each version for some minutes.
 */
export const INLINE_BYTES_MAX = 32 * 1024;
/** A part of a larger one; a Secret has at most 1 MiB. */
const PART_BYTES_MAX = 512 * 1024;
/** Objects asked for at once: with the largest values a page has about 1 MiB. */
const PAGE_OBJECTS = 25;
/** Bytes of randomness in the name of a part. */
const PART_NAME_BYTES = 5;
/** Largest value unpacked, bytes: a command is at most as long as a message. */
const VALUE_BYTES_MAX = 64 * 1024 * 1024;
const HEAD_KEY = 'head';
const PART_KEY = 'part';
const PARTS_SUFFIX = '.parts';
const COLLECTION = pathOfKind(KINDS.secret, AGENT_NAMESPACE);
const pathOf = (name: string) =>
  pathOfObject(KINDS.secret, { namespace: AGENT_NAMESPACE, name: `${MEMORY_PREFIX}${name}` });
const packing = () => import('./packing.ts');

/** Lines of JSON. A long text is several lines, so that no line takes long to read. */
export type Lines = readonly string[];

/** `command`: what waits or runs. `delivered`: a list of what is over. */
export type MemoryKind = 'command' | 'delivered';

/** A value whose packed bytes stand elsewhere. */
interface PartedValue {
  readonly bytes: number;
  readonly parts: readonly { readonly name: string; readonly uid: string }[];
}

export interface MemoryObject {
  readonly name: string;
  readonly uid: string;
  /** Of this state of it: who changes another state is refused. */
  readonly version: string;
  /** JSON. */
  readonly head: string;
  /** Packed. */
  readonly values: Readonly<Record<string, Uint8Array | PartedValue>>;
  /** Bytes of all values, packed. */
  readonly bytes: number;
}

/** What is written of an object; a value that is null is taken away, one that is absent stays. */
export interface MemoryContent {
  readonly head: string;
  readonly values: Readonly<Record<string, Lines | null>>;
}

/**
 * Errors: ApiRejection with 409 where another one has changed or made it, 404 where it is gone; else those
 * of `KubernetesClient`, after which it is not known whether it was written.
 */
export interface MemoryObjects {
  /** All of a kind, each once. */
  each(kind: MemoryKind, onObject: (object: MemoryObject) => Promise<void>): Promise<void>;
  find(name: string): Promise<MemoryObject | undefined>;
  create(kind: MemoryKind, name: string, content: MemoryContent): Promise<MemoryObject>;
  change(object: MemoryObject, content: MemoryContent): Promise<MemoryObject>;
  /** In whatever state. */
  remove(object: MemoryObject): Promise<void>;
  /**
   * @returns undefined where it has no such value
   * @throws AgentError STORE_CORRUPT where it is damaged, and will stay so
   */
  read(object: MemoryObject, value: string): Promise<Lines | undefined>;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly client: KubernetesClient;
}

export function memoryObjects(deps: Deps): MemoryObjects {
  return {
    each: (kind, onObject) => eachOf(deps, kind, onObject),
    find: (name) => find(deps, name),
    create: (kind, name, content) => create(deps, kind, name, content),
    change: (object, content) => change(deps, object, content),
    remove: ({ name, uid }) => removeOne(deps, name, uid),
    read: async (object, key) => {
      const value = object.values[key];
      return value === undefined
        ? undefined
        : await unpack(await wholeOf(deps, object, value), object);
    },
  };
}

async function eachOf(
  deps: Deps,
  kind: MemoryKind,
  onObject: (object: MemoryObject) => Promise<void>,
): Promise<void> {
  const query = { labelSelector: `${MEMORY_LABEL}=${kind}`, limit: PAGE_OBJECTS };
  let next: string | undefined;
  do {
    const from = next === undefined ? query : { ...query, continue: next };
    const found: V1Secret[] = [];
    const page = await limited(deps, (signal) =>
      deps.client.eachOfPage<V1Secret>(
        COLLECTION,
        from,
        (secret) => void found.push(secret),
        signal,
      ),
    );
    for (const secret of found) {
      await onObject(objectOf(secret));
    }
    next = page.next;
  } while (next !== undefined);
}

async function find(deps: Deps, name: string): Promise<MemoryObject | undefined> {
  const secret = await limited(deps, (signal) => deps.client.find<V1Secret>(pathOf(name), signal));
  return secret === undefined ? undefined : objectOf(secret);
}

/** One with a large value is made without values first: what owns the parts must be there before them. */
async function create(
  deps: Deps,
  kind: MemoryKind,
  name: string,
  content: MemoryContent,
): Promise<MemoryObject> {
  const packed = await packAll(content.values);
  const isSmall = packed.every(({ bytes }) => bytes === null || isInline(bytes));
  const first = secretOf(
    kind,
    name,
    isSmall ? inlineData(content.head, packed) : { [HEAD_KEY]: base64(content.head) },
  );
  const made = objectOf(
    await limited(deps, (signal) => deps.client.create<V1Secret>(COLLECTION, first, signal)),
  );
  return isSmall ? made : await patch(deps, made, content.head, packed);
}

async function change(
  deps: Deps,
  object: MemoryObject,
  content: MemoryContent,
): Promise<MemoryObject> {
  const packed = await packAll(content.values);
  const changed = await patch(deps, object, content.head, packed);
  // Parts of what has another value now. What stays behind goes with the object.
  for (const { key } of packed) {
    const before = object.values[key];
    for (const { name, uid } of before === undefined || before instanceof Uint8Array
      ? []
      : before.parts) {
      await removeOne(deps, name, uid);
    }
  }
  return changed;
}

async function patch(
  deps: Deps,
  object: MemoryObject,
  head: string,
  packed: readonly PackedValue[],
): Promise<MemoryObject> {
  const data: Record<string, string | null> = { [HEAD_KEY]: base64(head) };
  for (const { key, bytes } of packed) {
    const isHere = bytes !== null && isInline(bytes);
    data[key] = isHere ? base64(bytes) : null;
    // Parts are written before the object names them.
    data[`${key}${PARTS_SUFFIX}`] =
      bytes === null || isHere
        ? null
        : base64(JSON.stringify(await writeParts(deps, object, bytes)));
  }
  const body = { metadata: { resourceVersion: object.version }, data };
  return objectOf(
    await limited(deps, (signal) => deps.client.patch<V1Secret>(pathOf(object.name), body, signal)),
  );
}

async function writeParts(
  deps: Deps,
  owner: MemoryObject,
  packed: Uint8Array,
): Promise<PartedValue> {
  const parts: PartedValue['parts'][number][] = [];
  for (let at = 0; at < packed.byteLength; at += PART_BYTES_MAX) {
    const name = `${owner.name}-${Buffer.from(deps.random.bytes(PART_NAME_BYTES)).toString('hex')}`;
    const data = { [PART_KEY]: base64(packed.subarray(at, at + PART_BYTES_MAX)) };
    const made = await limited(deps, (signal) =>
      deps.client.create<V1Secret>(COLLECTION, secretOf('part', name, data, owner), signal),
    );
    parts.push({ name, uid: made.metadata?.uid ?? '' });
  }
  return { bytes: packed.byteLength, parts };
}

async function wholeOf(
  deps: Deps,
  object: MemoryObject,
  value: Uint8Array | PartedValue,
): Promise<Uint8Array> {
  if (value instanceof Uint8Array) {
    return value;
  }
  const parts: Uint8Array[] = [];
  for (const { name } of value.parts) {
    // Gone where a backup was put back: what owns a part is known by a UID of before.
    const secret = await limited(deps, (signal) =>
      deps.client.find<V1Secret>(pathOf(name), signal),
    );
    if (secret === undefined) {
      throw damaged(object, 'a part of it is gone');
    }
    parts.push(bytesOf(secret.data?.[PART_KEY]));
  }
  return Buffer.concat(parts);
}

async function removeOne(deps: Deps, name: string, uid: string): Promise<void> {
  // Nothing waits for what it owns.
  const options = { propagation: 'Background' } as const;
  await limited(deps, (signal) => deps.client.remove(pathOf(name), uid, signal, options));
}

/** Nobody gives up earlier: what was sent may have been done. */
function limited<T>({ clock }: Deps, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = { what: 'A request of the memory of the cluster', ms: REQUEST_TIMEOUT_MS };
  return withDeadline(clock, limit, undefined, work);
}

interface PackedValue {
  readonly key: string;
  /** null: it is taken away. */
  readonly bytes: Uint8Array | null;
}

async function packAll(values: MemoryContent['values']): Promise<readonly PackedValue[]> {
  const { zip } = await packing();
  return Promise.all(
    Object.entries(values).map(async ([key, lines]) => ({
      key,
      bytes: lines === null ? null : await zip(lines.join('\n')),
    })),
  );
}

function damaged({ name }: MemoryObject, why: string, cause?: unknown): AgentError {
  const message = `The Secret ${AGENT_NAMESPACE}/${MEMORY_PREFIX}${name} is damaged: ${why}`;
  return new AgentError('STORE_CORRUPT', message, {
    hint: 'Nothing but the agent may change these Secrets',
    cause,
  });
}

async function unpack(packed: Uint8Array, object: MemoryObject): Promise<Lines> {
  const { unzip } = await packing();
  const bytes = await unzip(packed, { maxOutputLength: VALUE_BYTES_MAX }).catch((cause) => {
    throw damaged(object, 'it cannot be unpacked', cause);
  });
  const lines: string[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const end = bytes.indexOf(0x0a, at);
    const next = end === -1 ? bytes.byteLength : end;
    lines.push(bytes.toString('utf8', at, next));
    at = next + 1;
  }
  return lines;
}

function isInline(bytes: Uint8Array): boolean {
  return bytes.byteLength <= INLINE_BYTES_MAX;
}

function inlineData(head: string, packed: readonly PackedValue[]): Record<string, string> {
  const values = packed.flatMap(({ key, bytes }) =>
    bytes === null ? [] : [[key, base64(bytes)] as const],
  );
  return { [HEAD_KEY]: base64(head), ...Object.fromEntries(values) };
}

function secretOf(
  kind: MemoryKind | 'part',
  name: string,
  data: Readonly<Record<string, string>>,
  owner?: MemoryObject,
): V1Secret {
  const owners =
    owner === undefined
      ? {}
      : {
          ownerReferences: [
            { ...typeOf(KINDS.secret), name: `${MEMORY_PREFIX}${owner.name}`, uid: owner.uid },
          ],
        };
  const labels = { ...MANAGED_BY, [MEMORY_LABEL]: kind };
  const metadata = {
    name: `${MEMORY_PREFIX}${name}`,
    namespace: AGENT_NAMESPACE,
    labels,
    ...owners,
  };
  return { ...typeOf(KINDS.secret), type: MEMORY_SECRET, metadata, data };
}

function objectOf({ metadata, data = {} }: V1Secret): MemoryObject {
  const values: Record<string, Uint8Array | PartedValue> = {};
  let bytes = 0;
  for (const [key, text] of Object.entries(data)) {
    if (key === HEAD_KEY) {
      continue;
    }
    const value = bytesOf(text);
    if (key.endsWith(PARTS_SUFFIX)) {
      // Written by `patch`; nobody else may write these objects.
      const parted = JSON.parse(value.toString()) as PartedValue;
      values[key.slice(0, -PARTS_SUFFIX.length)] = parted;
      bytes += parted.bytes;
    } else {
      values[key] = value;
      bytes += value.byteLength;
    }
  }
  return {
    name: (metadata?.name ?? '').slice(MEMORY_PREFIX.length),
    uid: metadata?.uid ?? '',
    version: metadata?.resourceVersion ?? '',
    head: bytesOf(data[HEAD_KEY]).toString(),
    values,
    bytes,
  };
}

function base64(value: string | Uint8Array): string {
  return Buffer.from(value).toString('base64');
}

function bytesOf(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64');
}
