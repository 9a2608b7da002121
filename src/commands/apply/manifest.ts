/** A manifest as text, taken apart into the objects that it names. */
import { AgentError } from '../../core/errors.ts';
import { GROUPS } from '../../core/kinds.ts';
import type { WorkElsewhere } from '../../core/ports.ts';
import { parseLosslessJson } from '../../kubernetes/api/yaml.ts';
import { OBJECT_LIMIT_BYTES } from '../../protocol/commands/apply.ts';
import { DnsLabel } from '../../protocol/dns-label.ts';
import { DnsSubdomain } from '../../protocol/dns-subdomain.ts';
import { readDocuments } from './documents.ts';

/** Objects of one manifest, at most. */
export const MANIFEST_OBJECTS_MAX = 1_000;
/**
 * A longer manifest is read in a thread, not on the event loop: 64 KiB of YAML take up to 12 ms.
 * JSON and YAML are told apart only by reading them.
 */
export const READ_HERE_CHARS_MAX = 64 * 1024;
/** Values of one object, at most: it is parsed in one go, and searched. */
export const OBJECT_VALUES_MAX = 50_000;
/** Problems that are told, at most. */
const PROBLEMS_TOLD_MAX = 100;
/** Names in this group need only be fit for a path (kubernetes.io, "Object Names and IDs"). */
const PATH_NAME_GROUP = `${GROUPS.rbac}/`;

export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** The namespace that the object names; undefined when it names none. */
  readonly namespace: string | undefined;
  /**
   * The whole object as JSON: of many objects, only those being looked at are in memory as values.
   */
  readonly json: string;
}

export interface ManifestText {
  readonly text: string;
  /** The namespace for objects that name none. */
  readonly namespace: string | undefined;
}

export interface ReadManifest {
  /** In their order; Lists are taken apart. */
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly string[];
}

/** The worker that reads a long manifest. */
export const MANIFEST_READER = 'commands/apply/worker';

/**
 * The objects in their order; Lists are taken apart.
 * @throws AgentError COMMAND_INVALID with every problem
 */
export async function parseManifest(
  deps: { readonly workElsewhere: WorkElsewhere },
  manifest: ManifestText,
  signal: AbortSignal,
): Promise<readonly ManifestObject[]> {
  const { objects, problems } =
    manifest.text.length > READ_HERE_CHARS_MAX
      ? await deps.workElsewhere<ReadManifest>(MANIFEST_READER, manifest, signal)
      : readManifest(manifest);
  if (problems.length > 0) {
    throw invalidManifest(problems);
  }
  return objects;
}

/** Reads it here in one go, however long that takes. */
export function readManifest({ text, namespace }: ManifestText): ReadManifest {
  const objects: ManifestObject[] = [];
  const unread: string[] = [];
  const wrong: string[] = [];
  let count = 0;
  for (const read of readDocuments(text)) {
    if (typeof read === 'string') {
      unread.push(read);
      continue;
    }
    for (const content of read.flatMap(flatten)) {
      count += 1;
      const object = count > MANIFEST_OBJECTS_MAX ? undefined : readObject(content);
      if (object !== undefined) {
        objects.push(object);
      }
      const problems =
        object === undefined ? [NO_OBJECT] : objectProblems(object, content, namespace);
      wrong.push(...problems.map((problem) => `object ${count}: ${problem}`));
    }
  }
  if (count > MANIFEST_OBJECTS_MAX) {
    const tooMany = `manifest: has ${count} objects, at most ${MANIFEST_OBJECTS_MAX} fit`;
    return { objects: [], problems: [...unread, tooMany] };
  }
  if (count === 0 && unread.length === 0) {
    unread.push('manifest: there is no object in it');
  }
  const problems = [...unread, ...wrong];
  return { objects: problems.length > 0 ? [] : objects, problems };
}

/** The object as it was given, its whole numbers exact. */
export function contentOf(object: ManifestObject): Readonly<Record<string, unknown>> {
  return parseLosslessJson(object.json) as Readonly<Record<string, unknown>>; // Of `readObject`.
}

function invalidManifest(all: readonly string[]): AgentError {
  const problems = all.slice(0, PROBLEMS_TOLD_MAX);
  if (all.length > problems.length) {
    problems.push(`and ${all.length - problems.length} more problems`);
  }
  return new AgentError('COMMAND_INVALID', `Cannot run "apply": ${problems.join('; ')}`, {
    hint: 'Correct the manifest',
    details: { problems },
  });
}

const NO_OBJECT = 'needs apiVersion, kind and metadata.name';

function flatten(content: unknown): unknown[] {
  if (content === null || content === undefined) {
    return []; // A document of comments only.
  }
  const isList = isMap(content) && String(content['kind'] ?? '').endsWith('List');
  return isList && Array.isArray(content['items']) ? content['items'].flatMap(flatten) : [content];
}

function readObject(content: unknown): ManifestObject | undefined {
  const metadata = isMap(content) ? content['metadata'] : undefined;
  if (!isMap(content) || !isMap(metadata)) {
    return undefined;
  }
  const { apiVersion, kind } = content;
  const { name, namespace } = metadata;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof name !== 'string') {
    return undefined;
  }
  return {
    apiVersion,
    kind,
    name,
    // Empty counts as absent: templates write it like that.
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
    json: JSON.stringify(content),
  };
}

function objectProblems(
  object: ManifestObject,
  content: unknown,
  namespace: string | undefined,
): string[] {
  const problems = sizeProblems(object, content);
  const label = `${object.kind} "${object.name}"`;
  if (!/^([a-z0-9][-.a-z0-9]*\/)?v[a-z0-9]+$/.test(object.apiVersion)) {
    problems.push(`${label}: "${object.apiVersion}" is no apiVersion`);
  }
  const nameIsFit = object.apiVersion.startsWith(PATH_NAME_GROUP)
    ? /^(?!\.{1,2}$)[^/%]{1,253}$/.test(object.name)
    : DnsSubdomain.safeParse(object.name).success;
  if (!nameIsFit) {
    problems.push(`${label}: the name must be lower-case letters, digits, "-" and "." (RFC 1123)`);
  }
  if (object.namespace !== undefined && !DnsLabel.safeParse(object.namespace).success) {
    problems.push(`${label}: "${object.namespace}" is no name of a namespace (RFC 1123)`);
  } else if (namespace !== undefined && (object.namespace ?? namespace) !== namespace) {
    problems.push(
      `${label}: is for namespace "${object.namespace}", the command for "${namespace}"`,
    );
  }
  return problems;
}

function sizeProblems(object: ManifestObject, content: unknown): string[] {
  const label = `${object.kind} "${object.name}"`;
  const problems: string[] = [];
  const bytes = Buffer.byteLength(object.json);
  if (bytes > OBJECT_LIMIT_BYTES) {
    problems.push(
      `${label}: has ${bytes} bytes as JSON, Kubernetes keeps objects of at most ${OBJECT_LIMIT_BYTES}`,
    );
  }
  const values = countValues(content);
  if (values > OBJECT_VALUES_MAX) {
    problems.push(`${label}: has ${values} values, at most ${OBJECT_VALUES_MAX} fit`);
  }
  return problems;
}

function countValues(value: unknown): number {
  return typeof value !== 'object' || value === null
    ? 1
    : Object.values(value).reduce((sum: number, each) => sum + countValues(each), 1);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
