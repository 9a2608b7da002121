/** A manifest as text, taken apart into the objects that it names. */
import { AgentError } from '../../core/errors.ts';
import { GROUPS } from '../../core/kinds.ts';
import type { Clock } from '../../core/ports.ts';
import { DnsLabel, DnsSubdomain } from '../../protocol/commands/fields.ts';
import { readDocuments } from './documents.ts';

/** Objects of one manifest, at most. */
export const MANIFEST_OBJECTS_MAX = 1_000;
/** Problems that are told, at most. */
const PROBLEMS_TOLD_MAX = 100;
/** Names of these need only be fit for a path (kubernetes.io, "Object Names and IDs"). */
const PATH_NAME_GROUP = `${GROUPS.rbac}/`;

export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** As the object says; undefined when it does not. */
  readonly namespace: string | undefined;
  readonly content: Readonly<Record<string, unknown>>;
}

/**
 * The objects in their order; Lists are taken apart. Lets others run between two documents.
 * @throws AgentError COMMAND_INVALID with every problem
 */
export async function parseManifest(
  deps: { readonly clock: Clock },
  text: string,
  namespace: string | undefined,
): Promise<readonly ManifestObject[]> {
  const { values, problems } = await readDocuments(deps, text);
  const contents = values.flatMap(flatten);
  if (contents.length === 0 && problems.length === 0) {
    problems.push('manifest: there is no object in it');
  }
  if (contents.length > MANIFEST_OBJECTS_MAX) {
    problems.push(`manifest: has ${contents.length} objects, at most ${MANIFEST_OBJECTS_MAX} fit`);
    throw invalidManifest(problems);
  }
  const objects = contents.flatMap((content, index) => {
    const object = readObject(content);
    const wrong = object === undefined ? [NO_OBJECT] : objectProblems(object, namespace);
    problems.push(...wrong.map((problem) => `object ${index + 1}: ${problem}`));
    return object === undefined ? [] : [object];
  });
  if (problems.length > 0) {
    throw invalidManifest(problems);
  }
  return objects;
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
    // Empty is as good as absent: templates write it like that.
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
    content,
  };
}

function objectProblems(object: ManifestObject, namespace: string | undefined): string[] {
  const problems: string[] = [];
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

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
