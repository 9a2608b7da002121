/**
 * Which fields of an object a field manager has applied (kubernetes.io, "Server-Side Apply", "Field
 * management"). To change one field by server-side apply, a manager sends all fields that it owns:
 * it gives up those that it leaves out.
 */
import { FIELD_MANAGER } from '../api/client.ts';

type Json = Record<string, unknown>;

/** An object as the API gives it, looked at field by field. */
export interface ManagedObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly managedFields?: readonly ManagedFieldsEntry[];
  };
}

interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: object;
}

/** Whether the agent has applied this object, as a whole or in part. */
export function isAppliedByAgent(object: ManagedObject): boolean {
  return agentEntry(object) !== undefined;
}

/**
 * What the agent has applied of this object, as a manifest that changes nothing when it is applied
 * again. Only apiVersion, kind, name and namespace when it has applied nothing.
 */
export function appliedFields(object: ManagedObject): Json {
  const { apiVersion, kind, metadata } = object;
  const fields = agentEntry(object)?.fieldsV1;
  const applied = fields === undefined ? {} : pick(object, fields);
  const { name, namespace } = metadata ?? {};
  const own = isObject(applied) ? applied : {};
  return {
    ...own,
    apiVersion,
    kind,
    metadata: {
      ...(isObject(own['metadata']) ? own['metadata'] : {}),
      name,
      ...(namespace === undefined ? {} : { namespace }),
    },
  };
}

function agentEntry(object: ManagedObject): ManagedFieldsEntry | undefined {
  return object.metadata?.managedFields?.find(
    ({ manager, operation, subresource = '' }) =>
      manager === FIELD_MANAGER && operation === 'Apply' && subresource === '',
  );
}

/**
 * The part of a value that a FieldsV1 tree names: `f:<field>` of an object, `k:<keys as JSON>` and
 * `v:<value as JSON>` of a list; an empty tree means the whole value.
 */
function pick(value: unknown, fields: object): unknown {
  const names = Object.entries(fields).filter(([name]) => name !== '.');
  if (names.length === 0) {
    return value;
  }
  return Array.isArray(value) ? pickItems(value, names) : pickFields(value, names);
}

function pickFields(value: unknown, names: readonly [string, object][]): Json | undefined {
  if (!isObject(value)) {
    return undefined;
  }
  const picked: Json = {};
  for (const [name, fields] of names) {
    const field = name.slice('f:'.length);
    if (name.startsWith('f:') && Object.hasOwn(value, field)) {
      picked[field] = pick(value[field], fields);
    }
  }
  return picked;
}

function pickItems(items: readonly unknown[], names: readonly [string, object][]): unknown[] {
  return names.flatMap(([name, fields]) => {
    const wanted: unknown = JSON.parse(name.slice('k:'.length));
    const item = items.find((each) =>
      name.startsWith('k:') ? hasFields(each, wanted) : Bun.deepEquals(each, wanted),
    );
    if (item === undefined) {
      return [];
    }
    const picked = pick(item, fields);
    return [isObject(picked) && isObject(wanted) ? { ...wanted, ...picked } : picked];
  });
}

function hasFields(item: unknown, wanted: unknown): boolean {
  return (
    isObject(item) &&
    isObject(wanted) &&
    Object.entries(wanted).every(([name, value]) => Bun.deepEquals(item[name], value))
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
