/**
 * Server-side apply as the API server does it, for one field manager and the lists that the agent
 * writes: what was applied before and is not now goes, and who applied what stands in `managedFields`.
 */
import { FIELD_MANAGER } from '../../src/kubernetes/api/client.ts';

type Json = Record<string, unknown>;

/** Fields that tell the items of a list apart; other lists are one value. */
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  env: ['name'],
  imagePullSecrets: ['name'],
  ports: ['containerPort', 'port', 'protocol'],
};

export function applyTo(live: object, manifest: object): Json {
  const known: Json = { ...live };
  const metadata = (known['metadata'] ?? {}) as Json;
  const entries = (metadata['managedFields'] ?? []) as Json[];
  const isOurs = (entry: Json) => entry['manager'] === FIELD_MANAGER;
  const before = (entries.find(isOurs)?.['fieldsV1'] ?? {}) as Json;
  const applied = mergeFields(known, { ...manifest }, before);
  const entry = { manager: FIELD_MANAGER, operation: 'Apply', fieldsV1: treeOf(ownable(manifest)) };
  const managedFields = [...entries.filter((each) => !isOurs(each)), entry];
  return { ...applied, metadata: { ...(applied['metadata'] as Json), managedFields } };
}

/** What identifies an object belongs to nobody. */
function ownable(manifest: object): Json {
  const { apiVersion: _, kind: __, metadata, ...rest }: Json = { ...manifest };
  const { name: _name, namespace: _namespace, uid: _uid, ...owned } = (metadata ?? {}) as Json;
  return { ...rest, metadata: owned };
}

function treeOf(fields: Json): Json {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const keys = LIST_KEYS[name];
      if (Array.isArray(value) && keys !== undefined) {
        const items = value.map((item) => [`k:${keyOf(item, keys)}`, { '.': {}, ...treeOf(item) }]);
        return [`f:${name}`, Object.fromEntries(items)];
      }
      return [`f:${name}`, isObject(value) ? treeOf(value) : {}];
    }),
  );
}

function mergeFields(live: Json, manifest: Json, before: Json): Json {
  const result: Json = { ...live };
  for (const [field, tree] of Object.entries(before)) {
    const name = field.slice('f:'.length);
    if (field.startsWith('f:') && !(name in manifest)) {
      const left = withoutOwned(result[name], tree as Json);
      delete result[name];
      Object.assign(result, left === undefined ? {} : { [name]: left });
    }
  }
  for (const [name, value] of Object.entries(manifest)) {
    const tree = (before[`f:${name}`] ?? {}) as Json;
    const keys = LIST_KEYS[name];
    if (Array.isArray(value) && keys !== undefined) {
      result[name] = mergeItems((result[name] ?? []) as Json[], value, tree, keys);
    } else if (isObject(value)) {
      result[name] = mergeFields((result[name] ?? {}) as Json, value, tree);
    } else {
      result[name] = value;
    }
  }
  return result;
}

function mergeItems(live: Json[], items: Json[], before: Json, keys: readonly string[]): Json[] {
  const wanted = new Map(items.map((item) => [keyOf(item, keys), item]));
  const kept = live.filter((item) => {
    const key = keyOf(item, keys);
    return wanted.has(key) || before[`k:${key}`] === undefined;
  });
  const there = new Set(kept.map((item) => keyOf(item, keys)));
  const merged = kept.map((item) => {
    const key = keyOf(item, keys);
    return mergeFields(item, wanted.get(key) ?? {}, (before[`k:${key}`] ?? {}) as Json);
  });
  return [...merged, ...items.filter((item) => !there.has(keyOf(item, keys)))];
}

/** What others put into a value of which a part was applied; undefined when that was all. */
function withoutOwned(value: unknown, tree: Json): unknown {
  if (!isObject(value) || Object.keys(tree).length === 0) {
    return undefined;
  }
  const left = mergeFields(value, {}, tree);
  return Object.keys(left).length === 0 ? undefined : left;
}

function keyOf(item: Json, keys: readonly string[]): string {
  return JSON.stringify(
    Object.fromEntries(keys.flatMap((key) => (key in item ? [[key, item[key]]] : []))),
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
