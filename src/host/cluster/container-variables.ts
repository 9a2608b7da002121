/** The environment of a Deployment's containers, as the kubelet makes it (Kubernetes, core/v1, "EnvVar"). */
import { listAt, objectAt, valueAt } from '../../core/json-values.ts';
import type { SavedObject } from '../../protocol/files/adoption.ts';

/** What variables come from. */
export interface VariableSource {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
}

/** @returns what these variables come from, and what gives variables of any name */
export function sourcesOf(
  deployment: SavedObject,
  names: readonly string[],
): readonly VariableSource[] {
  return containersOf(deployment).flatMap((container) => {
    const wanted = listAt(container, 'env').filter((entry) =>
      names.some((name) => name === valueAt(entry, 'name')),
    );
    const origins = [
      ...wanted.map((entry) => valueAt(entry, 'valueFrom')),
      ...listAt(container, 'envFrom'),
    ];
    return origins.flatMap((origin) => sourceIn(origin) ?? []);
  });
}

/**
 * @param objects where the sources are looked for
 * @returns what gives the value of a variable by its name; undefined where it has none
 */
export function valueReader(
  deployment: SavedObject,
  objects: readonly SavedObject[],
): (name: string) => string | undefined {
  const containers = containersOf(deployment);
  return (name) =>
    containers
      .map((container) => valueIn(container, name, objects))
      .find((value) => value !== undefined);
}

/** @returns a value of a Secret or ConfigMap as text without blanks around it; undefined where it has none */
export function dataOf(
  objects: readonly SavedObject[],
  { kind, name }: VariableSource,
  key: string,
): string | undefined {
  const object = objects.find((each) => each.kind === kind && each.metadata.name === name);
  const value = text(valueAt(object?.['data'], key));
  const isPacked = kind === 'Secret' && value !== undefined;
  return isPacked ? text(Buffer.from(value, 'base64').toString()) : value;
}

function containersOf(deployment: SavedObject): readonly unknown[] {
  const template = objectAt(objectAt(deployment, 'spec'), 'template');
  return listAt(objectAt(template, 'spec'), 'containers');
}

function valueIn(
  container: unknown,
  name: string,
  objects: readonly SavedObject[],
): string | undefined {
  const own = listAt(container, 'env').findLast((entry) => valueAt(entry, 'name') === name);
  if (own !== undefined) {
    return text(valueAt(own, 'value')) ?? valueOfOne(valueAt(own, 'valueFrom'), objects);
  }
  const origins = listAt(container, 'envFrom').toReversed(); // The last one counts.
  return origins
    .map((origin) => valueOfMany(origin, name, objects))
    .find((value) => value !== undefined);
}

/** @param origin as in `valueFrom` */
function valueOfOne(origin: unknown, objects: readonly SavedObject[]): string | undefined {
  const source = sourceIn(origin);
  const key =
    text(valueAt(valueAt(origin, 'secretKeyRef'), 'key')) ??
    text(valueAt(valueAt(origin, 'configMapKeyRef'), 'key'));
  return source === undefined || key === undefined ? undefined : dataOf(objects, source, key);
}

/** @param origin as in `envFrom` */
function valueOfMany(
  origin: unknown,
  name: string,
  objects: readonly SavedObject[],
): string | undefined {
  const source = sourceIn(origin);
  const prefix = text(valueAt(origin, 'prefix')) ?? '';
  return source !== undefined && name.startsWith(prefix)
    ? dataOf(objects, source, name.slice(prefix.length))
    : undefined;
}

function sourceIn(origin: unknown): VariableSource | undefined {
  const nameIn = (field: string) => text(valueAt(valueAt(origin, field), 'name'));
  const secret = nameIn('secretKeyRef') ?? nameIn('secretRef');
  if (secret !== undefined) {
    return { kind: 'Secret', name: secret };
  }
  const configMap = nameIn('configMapKeyRef') ?? nameIn('configMapRef');
  return configMap === undefined ? undefined : { kind: 'ConfigMap', name: configMap };
}

function text(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : '';
  return trimmed === '' ? undefined : trimmed;
}
