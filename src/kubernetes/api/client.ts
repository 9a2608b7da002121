import type { KubernetesListObject, KubernetesObject } from '@kubernetes/client-node';
import { AgentError } from '../../core/errors.ts';
import { troubleOf } from '../../core/trouble.ts';
import { timeLimit, within } from '../../core/waiting.ts';
import { type PageEnd, readListPage } from './list-page.ts';
import { isRejectedWith } from './rejection.ts';
import {
  ANSWER_HINT,
  type ApiDeps,
  type ApiRequest,
  type Query,
  sendToApi,
  throwIfAborted,
} from './request.ts';
import { expectTrouble, type WatchEvent, watchEvents } from './watch-events.ts';

/** Deadline of a request that is not a watch. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Objects a page of a list holds: a page is parsed in a few milliseconds. */
export const LIST_PAGE_OBJECTS = 500;
/** Longest answer that is read as text, bytes. */
const TEXT_LIMIT_BYTES = 64 * 1024 * 1024;
/** Who owns the fields that the agent applies (kubernetes.io, "Server-Side Apply"). */
export const FIELD_MANAGER = 'pipeops-agent';

/**
 * The Kubernetes API by path, over Bun's fetch. The shapes come from client-node as types; its
 * runtime stays out of the daemon (docs/decisions/0002-kubernetes-client.md).
 * Errors: NOT_FOUND for 404; KUBERNETES_API for other rejections (both as `ApiRejection`) and for an API
 * that cannot be reached; TIMEOUT.
 */
export interface KubernetesClient {
  get<T extends KubernetesObject>(path: string, signal: AbortSignal): Promise<T>;
  /** The object, or undefined when there is none. */
  find<T extends KubernetesObject>(path: string, signal: AbortSignal): Promise<T | undefined>;
  /** One page; go on with `metadata._continue`. */
  page<T extends KubernetesObject>(
    path: string,
    query: Query,
    signal: AbortSignal,
  ): Promise<KubernetesListObject<T>>;
  /** The same page, its objects one by one: for lists that may be large. */
  eachOfPage<T extends KubernetesObject>(
    path: string,
    query: Query,
    onItem: (object: T) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<PageEnd>;
  /** The answer as it came, for anything but objects, such as logs. */
  text(path: string, query: Query, signal: AbortSignal): Promise<string>;
  /** The answer piece by piece, for what may be long and is not kept whole. */
  bytes(path: string, query: Query, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The same of what goes on until the signal. Resolves when the answer has begun. */
  openBytes(path: string, query: Query, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Server-side apply: creates or changes; conflicts on our own fields are forced. */
  apply<T extends KubernetesObject>(
    path: string,
    object: T | Manifest,
    signal: AbortSignal,
    options?: WriteOptions,
  ): Promise<T>;
  create<T extends KubernetesObject>(
    path: string,
    object: T | Manifest,
    signal: AbortSignal,
    options?: WriteOptions,
  ): Promise<T>;
  /** Writes the whole object over what is there (PUT). */
  replace<T extends KubernetesObject>(
    path: string,
    object: T | Manifest,
    signal: AbortSignal,
    options?: WriteOptions,
  ): Promise<T>;
  /** Merge patch (RFC 7386). */
  patch<T extends KubernetesObject>(path: string, patch: object, signal: AbortSignal): Promise<T>;
  /**
   * Deletes just the object with this UID, and what it owns: before it, or else afterwards. False when it
   * is gone already.
   */
  remove(
    path: string,
    uid: string,
    signal: AbortSignal,
    options?: { readonly propagation: 'Foreground' | 'Background' },
  ): Promise<boolean>;
  /** Events until the server ends it or the signal aborts. */
  watch<T extends KubernetesObject>(
    path: string,
    query: Query,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
}

/** An object to write, when not all its fields are known, or only some are given. */
export type Manifest = Readonly<Record<string, unknown>>;

export interface WriteOptions {
  /** The API server checks everything and answers as usual, but stores nothing. */
  readonly dryRun?: boolean;
}

export function kubernetesClient(deps: ApiDeps): KubernetesClient {
  const answered = <T>(
    request: ApiRequest,
    read: (response: Response, limited: ApiRequest) => Promise<T>,
  ): Promise<T> =>
    within(deps.clock, REQUEST_TIMEOUT_MS, request.signal, async (signal) => {
      const limited = { ...request, signal };
      return await read(await sendToApi(deps, limited), limited);
    });
  // The API server is trusted for the shapes of its own objects.
  const json = <T>(request: ApiRequest) =>
    answered(request, async (response, limited) => (await readJson(limited, response)) as T);
  const get = <T>(path: string, signal: AbortSignal) => json<T>({ method: 'GET', path, signal });
  return {
    get,
    find: async <T>(path: string, signal: AbortSignal) => {
      try {
        return await get<T>(path, signal);
      } catch (thrown) {
        if (thrown instanceof AgentError && thrown.code === 'NOT_FOUND') {
          return undefined;
        }
        throw thrown;
      }
    },
    page: (path, query, signal) =>
      json({ method: 'GET', path, query: { limit: LIST_PAGE_OBJECTS, ...query }, signal }),
    eachOfPage: async (path, query, onItem, signal) => {
      const paged = { limit: LIST_PAGE_OBJECTS, ...query };
      return await answered({ method: 'GET', path, query: paged, signal }, (response) =>
        readListPage(path, response.body ?? [], onItem),
      );
    },
    text: (path, query, signal) =>
      answered({ method: 'GET', path, query, signal }, (response) => readText(path, response)),
    bytes: (path, query, signal) => readBytes(deps, path, query, signal),
    openBytes: async (path, query, signal) => {
      const response = await sendToApi(deps, { method: 'GET', path, query, signal });
      return expectTrouble(path, response.body ?? []);
    },
    apply: (path, object, signal, options) =>
      json({
        method: 'PATCH',
        path,
        query: { ...writeQuery(options), force: true },
        body: object,
        contentType: 'application/apply-patch+yaml',
        signal,
      }),
    create: (path, object, signal, options) =>
      json({ method: 'POST', path, query: writeQuery(options), body: object, signal }),
    replace: (path, object, signal, options) =>
      json({ method: 'PUT', path, query: writeQuery(options), body: object, signal }),
    patch: (path, patch, signal) =>
      json({
        method: 'PATCH',
        path,
        query: { fieldManager: FIELD_MANAGER },
        body: patch,
        contentType: 'application/merge-patch+json',
        signal,
      }),
    remove: (path, uid, signal, options) => remove(json, path, uid, signal, options),
    watch: (path, query, signal) => watch(deps, path, query, signal),
  };
}

function writeQuery({ dryRun = false }: WriteOptions = {}): Query {
  return { fieldManager: FIELD_MANAGER, ...(dryRun ? { dryRun: 'All' } : {}) };
}

async function remove(
  json: (request: ApiRequest) => Promise<unknown>,
  path: string,
  uid: string,
  signal: AbortSignal,
  { propagation }: { readonly propagation: string } = { propagation: 'Foreground' },
): Promise<boolean> {
  try {
    const body = { propagationPolicy: propagation, preconditions: { uid } };
    await json({ method: 'DELETE', path, body, signal });
    return true;
  } catch (thrown) {
    // 409: another object has the name now; the one we were to delete is gone.
    const gone = isRejectedWith(404, thrown) || isRejectedWith(409, thrown);
    if (gone) {
      return false;
    }
    throw thrown;
  }
}

async function* watch<T>(
  deps: ApiDeps,
  path: string,
  query: Query,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const response = await sendToApi(deps, {
    method: 'GET',
    path,
    query: { watch: true, allowWatchBookmarks: true, ...query },
    signal, // A watch has no other end.
  });
  yield* watchEvents<T>(path, response.body ?? []);
}

async function* readBytes(
  deps: ApiDeps,
  path: string,
  query: Query,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const limit = timeLimit(deps.clock, REQUEST_TIMEOUT_MS, signal);
  try {
    const response = await sendToApi(deps, { method: 'GET', path, query, signal: limit.signal });
    yield* expectTrouble(path, response.body ?? []);
  } finally {
    limit.end();
  }
}

async function readJson(request: ApiRequest, response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (thrown) {
    throwIfAborted(request);
    const text = `The answer to ${request.path} broke off or is not JSON: ${troubleOf(thrown)}`;
    throw new AgentError('KUBERNETES_API', text, { hint: ANSWER_HINT, cause: thrown });
  }
}

async function readText(path: string, response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let bytes = 0;
  for await (const chunk of expectTrouble(path, response.body ?? [])) {
    bytes += chunk.byteLength;
    if (bytes > TEXT_LIMIT_BYTES) {
      throw new AgentError('KUBERNETES_API', `The answer to ${path} is too long`, {
        hint: 'Ask for less of it, such as fewer lines of a log',
      });
    }
    parts.push(decoder.decode(chunk, { stream: true }));
  }
  return parts.join('');
}
