/**
 * Reads the path of a Kubernetes API request as the API server does (its RequestInfo), but from the
 * raw text and strictly: what has two readings is refused, so that both always see the same request.
 */
import { apiPath, GROUPS } from '../core/kinds.ts';
import { type AccessRequest, type PolicyDecision, refused } from './decision.ts';

export type ParsedRequest =
  | { readonly kind: 'access'; readonly access: AccessRequest }
  /** Discovery, health, version and what it may do itself: every account of a cluster reads it. */
  | { readonly kind: 'public' }
  | { readonly kind: 'refused'; readonly decision: PolicyDecision };

/** Longest path, without the query, characters. */
const PATH_LENGTH_MAX = 4_096;

/**
 * Characters that names in Kubernetes are made of. No `%`: none of these needs an escape, and an
 * escape of anything else is meant to trip somebody up.
 */
const SEGMENT = /^[A-Za-z0-9._:-]+$/;
/**
 * What the API server silently drops from a query: a pair with a ";" or with an invalid escape
 * (pkg.go.dev/net/url#ParseQuery). A DELETE would be done without its selector.
 */
const DROPPED_OF_QUERY = /;|%(?![0-9A-Fa-f]{2})/;
/** Behind `…/proxy/` the path is the application's own: everything that fits on a request line. */
const PROXIED_REST = /^[\x21-\x7e]*$/;
const PUBLIC_ROOTS: ReadonlySet<string> = new Set([
  'api',
  'apis',
  'version',
  'healthz',
  'livez',
  'readyz',
  'openapi',
]);
/** `kubectl auth can-i` creates questions; they are answered and kept nowhere. */
const SELF_REVIEWS: readonly string[] = ['accessreviews', 'rulesreviews'].map(
  (kind) => `${apiPath(`${GROUPS.authorization}/v1`)}/selfsubject${kind}`,
);
/** Second words below a namespace that are not kinds of objects. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);
/** They carry programs and bytes whatever the method says. */
const STREAM_SUBRESOURCES: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);

const VERBS: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

export function parseRequest(method: string, target: string, upgrade: boolean): ParsedRequest {
  const verb = Object.hasOwn(VERBS, method) ? VERBS[method] : undefined;
  if (verb === undefined) {
    return refuse('proxy/method', `Method ${method.slice(0, 16)} is not one of Kubernetes' API`);
  }
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  const query = queryAt < 0 ? '' : target.slice(queryAt + 1);
  if (verb === 'create' && SELF_REVIEWS.includes(path)) {
    return { kind: 'public' };
  }
  const split = splitPath(path);
  if (split === undefined) {
    return refuse(
      'proxy/path-form',
      'The path has empty or dot segments, escapes or characters that no name in Kubernetes has',
    );
  }
  const versionAt = versionPlace(split.segments);
  return versionAt === undefined
    ? publicPath(verb, split)
    : resourceRequest({ verb, ...split, versionAt, query, upgrade });
}

interface SplitPath {
  readonly segments: readonly string[];
  /** There is an application's own path behind the segments. */
  readonly proxied: boolean;
}

/** Undefined when the API's own part of the path is not in its one plain form. */
function splitPath(path: string): SplitPath | undefined {
  if (path.length > PATH_LENGTH_MAX || !path.startsWith('/')) {
    return undefined;
  }
  const segments: string[] = [];
  let from = 1;
  while (from < path.length) {
    const slash = path.indexOf('/', from);
    const end = slash < 0 ? path.length : slash;
    const segment = path.slice(from, end);
    if (segment === '.' || segment === '..' || !SEGMENT.test(segment)) {
      return undefined;
    }
    segments.push(segment);
    // A slash at the very end says nothing; Kubernetes drops it too.
    from = end + 1;
    if (slash >= 0 && isProxySubresource(segments)) {
      return PROXIED_REST.test(path.slice(from)) ? { segments, proxied: true } : undefined;
    }
  }
  return { segments, proxied: false };
}

/** `/api/v1/[watch/]namespaces/<ns>/(pods|services)/<name>/proxy`, `/api/v1/nodes/<name>/proxy` */
function isProxySubresource(segments: readonly string[]): boolean {
  if (segments.at(-1) !== 'proxy' || segments[0] !== 'api') {
    return false;
  }
  return (
    (segments.length === 7 && segments[2] === 'namespaces') ||
    (segments.length === 5 && segments[2] === 'nodes')
  );
}

/**
 * Where the version is, when objects come after it. Discovery is at `/api/<version>` and
 * `/apis/<group>/<version>`, with nothing after it: then undefined.
 */
function versionPlace(segments: readonly string[]): number | undefined {
  if (segments[0] === 'api' && segments.length > 2) {
    return 1;
  }
  return segments[0] === 'apis' && segments.length > 3 ? 2 : undefined;
}

function publicPath(verb: string, split: SplitPath): ParsedRequest {
  const known = split.segments.length === 0 || PUBLIC_ROOTS.has(split.segments[0] ?? '');
  return verb === 'get' && known && !split.proxied
    ? { kind: 'public' }
    : refuse(
        'proxy/non-resource',
        'Beside objects only discovery, health and version can be read here',
      );
}

interface ResourceRequest extends SplitPath {
  readonly verb: string;
  /** The segment of the version: the group stands before it, objects behind. */
  readonly versionAt: number;
  readonly query: string;
  readonly upgrade: boolean;
}

function resourceRequest(request: ResourceRequest): ParsedRequest {
  const { segments, versionAt } = request;
  const group = versionAt === 1 ? '' : (segments[1] ?? '');
  const legacyWatch = segments[versionAt + 1] === 'watch';
  let at = versionAt + (legacyWatch ? 2 : 1);
  let namespace = '';
  if (segments[at] === 'namespaces' && isWithinNamespace(segments, at)) {
    namespace = segments[at + 1] ?? '';
    at += 2;
  }
  const resource = segments[at];
  const name = segments[at + 1] ?? '';
  const subresource = segments[at + 2] ?? '';
  if (resource === undefined || resource === 'proxy' || segments.length > at + 3) {
    return refuse('proxy/path-form', 'The path has more words than Kubernetes gives a meaning to');
  }
  if (legacyWatch && (request.verb !== 'get' || subresource !== '')) {
    return refuse(
      'proxy/path-form',
      'Below /watch/ there are only lists and objects to be watched',
    );
  }
  if (!request.proxied && DROPPED_OF_QUERY.test(request.query)) {
    return refuse('proxy/query-form', 'The query has a part that Kubernetes would overlook');
  }
  const verb = legacyWatch ? 'watch' : verbOf(request, name, subresource);
  if (verb === undefined) {
    return refuse('proxy/path-form', 'The query says more than once whether to watch');
  }
  return {
    kind: 'access',
    access: { verb, group, resource, subresource, namespace, name },
  };
}

/** Whether something is named below the namespace that is not a part of the namespace itself. */
function isWithinNamespace(segments: readonly string[], at: number): boolean {
  const kind = segments[at + 2];
  return kind !== undefined && !NAMESPACE_SUBRESOURCES.has(kind);
}

function verbOf(request: ResourceRequest, name: string, subresource: string): string | undefined {
  const { verb } = request;
  if (STREAM_SUBRESOURCES.has(subresource)) {
    return 'create';
  }
  if (name !== '') {
    return verb;
  }
  switch (verb) {
    case 'get':
      return listOrWatch(request.query);
    case 'delete':
      return 'deletecollection';
    default:
      return verb;
  }
}

/** Kubernetes takes every value but `false` and `0` for yes. */
function listOrWatch(query: string): 'list' | 'watch' | undefined {
  if (query === '') {
    return 'list';
  }
  const values = new URLSearchParams(query).getAll('watch');
  if (values.length > 1) {
    return undefined;
  }
  const value = values[0]?.toLowerCase();
  return value === undefined || value === 'false' || value === '0' ? 'list' : 'watch';
}

function refuse(rule: string, reason: string): ParsedRequest {
  return { kind: 'refused', decision: refused(rule, reason) };
}
