/**
 * A Kubernetes API with versions and history, over real HTTP: lists in pages of one version,
 * watches from a version on, bookmarks, 410 for what is too old; and the troubles of all that.
 */

import { kubernetesClient } from '../../src/kubernetes/api/client.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemHttp } from '../../src/platform/network/http.ts';

type Json = Record<string, unknown>;

export interface FakeObject extends Json {
  readonly metadata: Json & { readonly name: string; readonly namespace?: string };
}

interface Change {
  readonly version: number;
  readonly path: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: FakeObject;
}

interface Watcher {
  readonly path: string;
  readonly send: (line: string) => void;
  readonly end: () => void;
}

export class FakeCluster implements AsyncDisposable {
  /** `GET path?query` of every request so far. */
  readonly requests: string[] = [];
  /** Called with each request before it is answered; what it returns is the answer. */
  intercept: (url: URL) => Response | Promise<Response> | undefined = () => undefined;
  readonly #server;
  readonly #objects = new Map<string, Map<string, FakeObject>>();
  readonly #pages = new Map<string, { readonly version: number; readonly items: FakeObject[] }>();
  readonly #watchers = new Set<Watcher>();
  #history: Change[] = [];
  #version = 1;
  #oldest = 0;
  #tokens = 0;

  constructor() {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 0,
      development: false,
      fetch: (request) => {
        const url = new URL(request.url);
        this.requests.push(`${request.method} ${url.pathname}${url.search}`);
        return this.intercept(url) ?? this.#answer(url);
      },
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  client() {
    const current = async () => ({ server: this.url, ca: '', token: 'test' });
    return kubernetesClient({
      clock: systemClock,
      http: systemHttp,
      credentials: { current, reload: () => undefined },
    });
  }

  put(path: string, object: FakeObject): void {
    const objects = this.#at(path);
    const known = objects.has(keyOf(object));
    this.#change(path, known ? 'MODIFIED' : 'ADDED', object);
  }

  remove(path: string, key: string): void {
    const object = this.#at(path).get(key);
    if (object !== undefined) {
      this.#change(path, 'DELETED', object);
    }
  }

  keys(path: string): readonly string[] {
    return [...this.#at(path).keys()];
  }

  /** Forgets the past: every version, page and watch place from before is 410 now. */
  compact(): void {
    this.#version += 1;
    this.#oldest = this.#version;
    this.#history = [];
    this.#pages.clear();
  }

  bookmark(): void {
    for (const watcher of this.#watchers) {
      watcher.send(bookmarkLine(this.#version));
    }
  }

  /** Breaks every watch, as a restart of the API server does. */
  disconnect(): void {
    for (const watcher of [...this.#watchers]) {
      watcher.end();
    }
  }

  /** Watches that are open now. */
  watching(path: string): number {
    return [...this.#watchers].filter((each) => each.path === path).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }

  #at(path: string): Map<string, FakeObject> {
    const objects = this.#objects.get(path) ?? new Map<string, FakeObject>();
    this.#objects.set(path, objects);
    return objects;
  }

  #change(path: string, type: Change['type'], object: FakeObject): void {
    this.#version += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.#version) };
    const change = { version: this.#version, path, type, object: { ...object, metadata } };
    if (type === 'DELETED') {
      this.#at(path).delete(keyOf(object));
    } else {
      this.#at(path).set(keyOf(object), change.object);
    }
    this.#history.push(change);
    for (const watcher of this.#watchers) {
      if (watcher.path === path) {
        watcher.send(eventLine(change));
      }
    }
  }

  #answer(url: URL): Response {
    if (url.pathname === '/version') {
      return Response.json({ gitVersion: 'v1.36.3+k3s1' });
    }
    if (url.pathname.startsWith('/apis/metrics.k8s.io')) {
      return gone(404, 'NotFound');
    }
    const { searchParams } = url;
    return searchParams.get('watch') === 'true'
      ? this.#watch(url.pathname, Number(searchParams.get('resourceVersion')))
      : this.#list(url.pathname, Number(searchParams.get('limit')), searchParams.get('continue'));
  }

  #list(path: string, limit: number, token: string | null): Response {
    const page =
      token === null
        ? { version: this.#version, items: [...this.#at(path).values()] }
        : this.#pages.get(token);
    if (page === undefined) {
      return gone(410, 'Expired');
    }
    const rest = page.items.slice(limit);
    const metadata: Json = { resourceVersion: String(page.version) };
    if (rest.length > 0) {
      this.#tokens += 1;
      metadata['continue'] = `token-${this.#tokens}`;
      this.#pages.set(`token-${this.#tokens}`, { version: page.version, items: rest });
    }
    return Response.json({ kind: 'List', metadata, items: page.items.slice(0, limit) });
  }

  #watch(path: string, from: number): Response {
    if (from < this.#oldest) {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' };
      return new Response(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    }
    let watcher: Watcher | undefined;
    const body = new ReadableStream<string>({
      start: (controller) => {
        const missed = this.#history.filter((each) => each.path === path && each.version > from);
        controller.enqueue(missed.map(eventLine).join('') || bookmarkLine(this.#version));
        watcher = {
          path,
          send: (line) => controller.enqueue(line),
          end: () => {
            this.#watchers.delete(watcher as Watcher);
            controller.close();
          },
        };
        this.#watchers.add(watcher);
      },
      cancel: () => void this.#watchers.delete(watcher as Watcher),
    });
    return new Response(body);
  }
}

function keyOf({ metadata }: FakeObject): string {
  const { name, namespace } = metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function eventLine({ type, object }: Change): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function bookmarkLine(version: number): string {
  const object = { metadata: { resourceVersion: String(version) } };
  return `${JSON.stringify({ type: 'BOOKMARK', object })}\n`;
}

function gone(code: number, reason: string): Response {
  return Response.json({ kind: 'Status', code, reason, message: reason }, { status: code });
}
