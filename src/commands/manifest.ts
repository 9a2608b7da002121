/** A manifest as text, taken apart into the objects that it names. */
import { AgentError, messageOf } from '../core/errors.ts';
import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';
import { DnsLabel, DnsSubdomain } from '../protocol/commands/fields.ts';

/** Objects of one manifest, at most. */
export const MANIFEST_OBJECTS_MAX = 1_000;
/** Documents of one manifest, at most; those of comments count. */
export const MANIFEST_DOCUMENTS_MAX = 5_000;
/**
 * Characters of one document in YAML: it is parsed in one go, at up to 40 ms for each MiB, and
 * etcd takes objects of 1.5 MiB. JSON is parsed so fast that the limit of the manifest is enough.
 */
export const YAML_DOCUMENT_CHARS_MAX = 1024 * 1024;
/** Problems that are told, at most. */
const PROBLEMS_TOLD_MAX = 100;
/** Values of one manifest, at most; what YAML's references name counts each time. */
const MANIFEST_VALUES_MAX = 500_000;
const MANIFEST_DEPTH_MAX = 100;
/** A document ends where a line begins with three dashes, also inside of block scalars. */
const DOCUMENT_END = /^---(?=\s|$)/m;
/** Names of these need only be fit for a path (kubernetes.io, "Object Names and IDs"). */
const PATH_NAME_GROUP = 'rbac.authorization.k8s.io/';

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
  const { contents, problems } = await parseDocuments(deps, text);
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
  problems.push(...duplicates(objects));
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

async function parseDocuments(
  deps: { readonly clock: Clock },
  text: string,
): Promise<{ readonly contents: unknown[]; readonly problems: string[] }> {
  const documents = text.split(DOCUMENT_END);
  if (documents.length > MANIFEST_DOCUMENTS_MAX) {
    const problem = `has ${documents.length} documents, at most ${MANIFEST_DOCUMENTS_MAX} fit`;
    throw invalidManifest([`manifest: ${problem}`]);
  }
  const problems: string[] = [];
  const contents: unknown[] = [];
  const values = { left: MANIFEST_VALUES_MAX };
  const budget = loopBudget(deps);
  for (const [index, document] of documents.entries()) {
    try {
      const parsed = parseDocument(document);
      if (isWithin(parsed, values, 0)) {
        contents.push(...flatten(parsed));
      } else {
        problems.push(
          `document ${index + 1}: has too many values (${MANIFEST_VALUES_MAX} in all), or is nested too deep`,
        );
      }
    } catch (thrown) {
      problems.push(`document ${index + 1}: ${messageOf(thrown)}`);
    }
    if (budget.spent()) {
      await budget.rest();
    }
  }
  return { contents, problems };
}

function parseDocument(document: string): unknown {
  if (document.trimStart().startsWith('{')) {
    try {
      return JSON.parse(document);
    } catch {
      // YAML may begin like this, too.
    }
  }
  if (document.length > YAML_DOCUMENT_CHARS_MAX) {
    const limitMib = YAML_DOCUMENT_CHARS_MAX / 1024 / 1024;
    throw new Error(
      `has ${document.length} characters of YAML, at most ${limitMib} MiB fit; divide it by "---"`,
    );
  }
  return Bun.YAML.parse(document);
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
    namespace: typeof namespace === 'string' ? namespace : undefined,
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

function duplicates(objects: readonly ManifestObject[]): string[] {
  const seen = new Set<string>();
  return objects.flatMap(({ apiVersion, kind, namespace, name }) => {
    const key = JSON.stringify([apiVersion, kind, namespace, name]);
    const again = seen.has(key);
    seen.add(key);
    return again ? [`${kind} "${name}": is there twice`] : [];
  });
}

function isWithin(value: unknown, budget: { left: number }, depth: number): boolean {
  budget.left -= 1;
  if (budget.left < 0 || depth > MANIFEST_DEPTH_MAX) {
    return false;
  }
  return typeof value !== 'object' || value === null
    ? true
    : Object.values(value).every((each) => isWithin(each, budget, depth + 1));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
