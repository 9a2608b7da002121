/** Reads parts of a document of unknown shape. A value of an unexpected type counts as absent. */

export function valueAt(parent: unknown, field: string): unknown {
  return typeof parent === 'object' && parent !== null && Object.hasOwn(parent, field)
    ? Reflect.get(parent, field)
    : undefined;
}

export function objectAt(parent: unknown, field: string): Readonly<Record<string, unknown>> {
  return asObject(valueAt(parent, field));
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

export function listAt(parent: unknown, field: string): readonly unknown[] {
  const value = valueAt(parent, field);
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
