/**
 * The part of the Kubernetes API that the agent uses, over real HTTPS, with objects in memory: for
 * tests of one process. What Kubernetes itself does with the objects is tested on real machines.
 */
import { hostname } from 'node:os';
import { CHANNELS_V4, STATUS, STDOUT } from '../../src/kubernetes/api/channel-stream.ts';
import { controlDeployment } from './fake-deployment-controller.ts';
import { applyTo } from './fake-server-side-apply.ts';
import { makeCertificates } from './tls.ts';

type Json = Record<string, unknown>;
/** What becomes of an object by what is written. */
type Write = (target: object, object: object) => Json;

export interface KubernetesObject {
  readonly metadata: Json & { name: string; resourceVersion: string; uid: string };
  spec?: Json;
  status?: Json;
}

export interface FakeKubernetes extends AsyncDisposable {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /**
   * The token of the agent's account that it accepts now; TokenRequest gives and sets a new one. Those of
   * other accounts stay.
   */
  token: string;
  /**
   * `ready`: Deployments become ready at once; `stuck`: their pods never do; `lagging`: their
   * controller is down, so that nothing of them changes.
   */
  rollouts: 'ready' | 'stuck' | 'lagging';
  /** Answers every request with this status while it is set. */
  failWith: number | undefined;
  /** Writes to paths with this in them are refused as invalid. */
  invalid: string | undefined;
  /** Answers a request with this status instead; nothing at first. */
  refuse: (method: string, path: string, dryRun: boolean) => number | undefined;
  /** What containers have written, by the path of the pod. Who follows it gets it, and no end. */
  readonly podLogs: Map<string, string>;
  /** The answer to who reads one object waits for this. */
  holding: Promise<void> | undefined;
  /** `METHOD path` of every request so far. */
  readonly requests: readonly string[];
  /** `traceparent` of the newest request for each path that had one. */
  readonly traceparents: ReadonlyMap<string, string>;
  object(path: string): KubernetesObject | undefined;
  /** Of all objects that are there. */
  paths(): readonly string[];
  put(path: string, object: Json): void;
  /** Without a word to who watches: for what a test has put, and others must not find. */
  remove(path: string): void;
  /** Makes every Deployment ready, and tells who watches. */
  finishRollouts(): void;
  /** What the API server does to each object that is written, before it is stored; nothing at first. */
  admit: (path: string, object: Json) => Json;
}

/** How often a watch hears that it still works; about as often as from a real API server. */
const BOOKMARK_INTERVAL_MS = 60_000;
/** Changes that who begins to watch is told afterwards, at most. */
const CHANGES_KEPT_MAX = 1_000;

interface Change {
  /** Of all objects together: it grows with each change. */
  readonly version: number;
  readonly path: string;
  readonly object: KubernetesObject;
}

interface Watcher {
  changed(path: string, object: KubernetesObject): void;
  bookmark(): void;
}

/** Claims as in a token of the TokenRequest API; the signature is none. */
export function serviceAccountToken(issuedAt: Date, lifeSeconds: number, id = 'first'): string {
  const iat = Math.floor(issuedAt.getTime() / 1_000);
  const part = (value: Json) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ iat, exp: iat + lifeSeconds, jti: id })}.signature`;
}

export async function startFakeKubernetes(): Promise<FakeKubernetes> {
  const { ca, cert, key } = await makeCertificates(['127.0.0.1']);
  const objects = new Map<string, KubernetesObject>();
  const watchers = new Set<Watcher>();
  const changes: Change[] = [];
  const requests: string[] = [];
  const traceparents = new Map<string, string>();
  const tokensOfOthers = new Set<string>();
  let version = 1;
  /** How often a Service was made at a path: each time it gets another address. */
  const services = new Map<string, number>();

  const store = (path: string, object: Json, write: Write = merge): KubernetesObject => {
    const known = objects.get(path);
    const merged = fake.admit(path, write(known ?? {}, object));
    const isNews = known === undefined || !Bun.deepEquals(known, merged);
    version += isNews ? 1 : 0;
    const changed = !Bun.deepEquals(known?.spec, merged['spec']);
    const metadata = (merged['metadata'] ?? {}) as Json;
    const generation = Number(known?.metadata['generation'] ?? 0) + (changed ? 1 : 0);
    const stored: KubernetesObject = {
      ...merged,
      metadata: {
        uid: crypto.randomUUID(),
        creationTimestamp: new Date().toISOString(),
        ...metadata,
        generation,
        name: path.split('/').at(-1) ?? '',
        resourceVersion: isNews ? String(version) : String(metadata['resourceVersion']),
      },
    };
    objects.set(path, stored);
    if (path.includes('/deployments/') && fake.rollouts !== 'lagging') {
      controlDeployment(objects, path, fake.rollouts === 'ready');
    }
    if (path.includes('/services/')) {
      const made = (services.get(path) ?? 0) + (known === undefined ? 1 : 0);
      services.set(path, made);
      stored.spec = { clusterIP: `10.43.0.${made + 6}`, ...stored.spec };
    }
    notify(path, stored);
    return stored;
  };
  const change = (request: Request, path: string, body: Json, isDry: boolean) => {
    const isApply = request.headers.get('content-type')?.includes('apply-patch') ?? false;
    const write = isApply ? applyTo : merge;
    // Dry: what would come of it, stored nowhere.
    return isDry
      ? fake.admit(path, write(objects.get(path) ?? {}, body))
      : store(path, body, write);
  };
  const notify = (path: string, object: KubernetesObject) => {
    changes.push({ version: Number(object.metadata.resourceVersion), path, object });
    changes.splice(0, changes.length - CHANGES_KEPT_MAX);
    for (const watcher of watchers) {
      watcher.changed(path, object);
    }
  };

  const list = (path: string, search: URLSearchParams): KubernetesObject[] => {
    const resource = path.split('/').at(-1) ?? '';
    const [field, value] = (search.get('fieldSelector') ?? '').split('=');
    return [...objects]
      .filter(([key]) => isIn(path, key))
      .map(([, object]) => object)
      .filter(({ metadata }) => field !== 'metadata.name' || metadata.name === value)
      .filter(({ spec }) => field !== 'spec.nodeName' || spec?.['nodeName'] === value)
      .filter((object) => resource !== 'secrets' || hasLabel(object, search.get('labelSelector')));
  };

  /** Begins with what has happened since that version, as a real API server does. */
  const watch = (path: string, since: number): Response => {
    let watcher: Watcher | undefined;
    const body = new ReadableStream<string>({
      start(controller) {
        const send = (event: object) => controller.enqueue(`${JSON.stringify(event)}\n`);
        watcher = {
          changed: (changed, object) => {
            if (changed === path || isIn(path, changed)) {
              send({ type: 'MODIFIED', object });
            }
          },
          bookmark: () => send({ type: 'BOOKMARK', object: {} }),
        };
        watchers.add(watcher);
        watcher.bookmark();
        for (const change of changes.filter((each) => each.version > since)) {
          watcher.changed(change.path, change.object);
        }
      },
      cancel() {
        if (watcher !== undefined) {
          watchers.delete(watcher);
        }
      },
    });
    return new Response(body);
  };

  const note = (request: Request) => {
    const { pathname } = new URL(request.url);
    requests.push(`${request.method} ${pathname}`);
    const traceparent = request.headers.get('traceparent');
    if (traceparent !== null) {
      traceparents.set(pathname, traceparent);
    }
  };

  const answer = async (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    note(request);
    const token = request.headers.get('authorization')?.replace('Bearer ', '') ?? '';
    if (token !== fake.token && !tokensOfOthers.has(token)) {
      return status(401, 'Unauthorized');
    }
    if (fake.failWith !== undefined) {
      return status(fake.failWith, 'TestFailure');
    }
    if (pathname === '/version') {
      return Response.json({ gitVersion: 'v1.36.3+k3s1' });
    }
    const body = (await request.json().catch(() => ({}))) as Json;
    const refusal = fake.refuse(request.method, pathname, searchParams.has('dryRun'));
    if (refusal !== undefined) {
      return status(refusal, 'TestRefusal');
    }
    if (request.method !== 'GET' && fake.invalid !== undefined && pathname.includes(fake.invalid)) {
      return status(422, 'Invalid');
    }
    switch (request.method) {
      case 'POST': {
        if (pathname.endsWith('/token')) {
          const token = serviceAccountToken(new Date(), 30 * 24 * 3_600, crypto.randomUUID());
          if (pathname.endsWith('/pipeops-agent/token')) {
            fake.token = token;
          } else {
            tokensOfOthers.add(token);
          }
          return Response.json({ status: { token } });
        }
        if (pathname.endsWith('/eviction')) {
          const pod = pathname.replace('/eviction', '');
          return objects.delete(pod) ? status(201, 'Evicted') : status(404, 'NotFound');
        }
        const { name } = body['metadata'] as { name: string };
        if (searchParams.has('dryRun')) {
          return Response.json(fake.admit(`${pathname}/${name}`, body), { status: 201 });
        }
        if (objects.has(`${pathname}/${name}`)) {
          return status(409, 'AlreadyExists');
        }
        return Response.json(store(`${pathname}/${name}`, body), { status: 201 });
      }
      case 'PATCH':
        if (isStale(objects.get(pathname), body)) {
          return status(409, 'Conflict');
        }
        if (request.headers.get('content-type')?.includes('merge') && !objects.has(pathname)) {
          return status(404, 'NotFound');
        }
        return Response.json(change(request, pathname, body, searchParams.has('dryRun')));
      case 'PUT':
        if (isStale(objects.get(pathname), body)) {
          return status(409, 'Conflict');
        }
        return Response.json(store(pathname, body, replace));
      case 'DELETE': {
        const { uid } = (body['preconditions'] ?? {}) as { uid?: string };
        const known = objects.get(pathname);
        if (known === undefined) {
          return status(404, 'NotFound');
        }
        if (uid !== known.metadata.uid) {
          return status(409, 'Conflict');
        }
        objects.delete(pathname);
        return Response.json(known);
      }
      default:
        break;
    }
    if (searchParams.get('watch') === 'true') {
      const since = searchParams.get('resourceVersion') || Number.POSITIVE_INFINITY;
      return watch(pathname, Number(since));
    }
    const written = fake.podLogs.get(pathname.replace(/\/log$/, ''));
    if (pathname.endsWith('/log') && written !== undefined) {
      return searchParams.get('follow') === 'true' ? endless(written) : new Response(written);
    }
    const isCollection =
      /\/(nodes|namespaces|deployments|replicasets|services|ingresses|configmaps|secrets|pods|events)$/.test(
        pathname,
      );
    if (isCollection) {
      const from = Number(searchParams.get('continue') ?? 0);
      const end = from + Number(searchParams.get('limit') ?? Number.POSITIVE_INFINITY);
      const items = list(pathname, searchParams);
      const more = end < items.length ? { continue: String(end) } : {};
      const metadata = { resourceVersion: String(version), ...more };
      return Response.json({ metadata, items: items.slice(from, end) });
    }
    await fake.holding;
    const object = objects.get(pathname);
    return object === undefined ? status(404, 'NotFound') : Response.json(object);
  };

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // A watch stays open while nothing happens, as at a real API server.
    idleTimeout: 0,
    development: false,
    tls: { cert, key },
    fetch: async (request, self) => {
      const headers = { 'sec-websocket-protocol': CHANNELS_V4 };
      const isExec = new URL(request.url).pathname.endsWith('/exec');
      return isExec && self.upgrade(request, { headers }) ? note(request) : await answer(request);
    },
    // Every program prints a line and succeeds.
    websocket: {
      open: (socket) => {
        socket.send(Buffer.from([STDOUT, ...Buffer.from('ran\n')]));
        socket.send(Buffer.from([STATUS, ...Buffer.from('{"status":"Success"}')]));
        socket.close(1000);
      },
      message: () => undefined,
    },
  });
  const bookmarks = setInterval(() => {
    for (const watcher of watchers) {
      watcher.bookmark();
    }
  }, BOOKMARK_INTERVAL_MS);
  const fake: FakeKubernetes = {
    url: `https://127.0.0.1:${server.port}`,
    ca,
    token: serviceAccountToken(new Date(), 30 * 24 * 3_600),
    rollouts: 'ready',
    failWith: undefined,
    invalid: undefined,
    refuse: () => undefined,
    podLogs: new Map(),
    holding: undefined,
    admit: (_path, object) => object,
    requests,
    traceparents,
    object: (path) => objects.get(path),
    paths: () => [...objects.keys()],
    put: (path, object) => void store(path, object),
    remove: (path) => void objects.delete(path),
    finishRollouts: () => {
      for (const [path, object] of objects) {
        if (path.includes('/deployments/')) {
          controlDeployment(objects, path, true);
          version += 1;
          object.metadata.resourceVersion = String(version);
          notify(path, object);
        }
      }
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(bookmarks);
      await server.stop(true);
    },
  };
  // The machine that the agent runs on is a node of it.
  store(`/api/v1/nodes/${hostname().toLowerCase()}`, {
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  return fake;
}

function status(code: number, reason: string): Response {
  return Response.json({ kind: 'Status', reason, message: reason, code }, { status: code });
}

function endless(text: string): Response {
  return new Response(
    new ReadableStream<string>({
      start: (controller) => controller.enqueue(text),
    }),
  );
}

/** Whether the object at `key` is one of the list at `path`: of a namespace, or of all. */
function isIn(path: string, key: string): boolean {
  const resource = path.split('/').at(-1) ?? '';
  const prefix = path.includes('/namespaces/') ? `${path}/` : path.replace(`/${resource}`, '/');
  return key.startsWith(prefix) && key.split('/').at(-2) === resource;
}

/** Whether somebody has changed it since the writer has read it. */
function isStale(known: KubernetesObject | undefined, { metadata }: Json): boolean {
  const { resourceVersion } = (metadata ?? {}) as { resourceVersion?: string };
  return (
    known !== undefined &&
    resourceVersion !== undefined &&
    resourceVersion !== known.metadata.resourceVersion
  );
}

/** @param selector `name=value` */
function hasLabel({ metadata: { labels } }: KubernetesObject, selector: string | null): boolean {
  const [name = '', value] = (selector ?? '').split('=');
  return selector === null || (labels as Json | undefined)?.[name] === value;
}

/** PUT: the status is not written that way, and what the API server keeps stays. */
function replace(target: object, object: object): Json {
  const { status: kept, metadata: before }: Json = { ...target };
  const { status: _, metadata, ...rest }: Json = { ...object };
  const { uid, creationTimestamp } = (before ?? {}) as Json;
  const own = { ...(metadata as Json | undefined), uid, creationTimestamp };
  return { ...rest, metadata: own, ...(kept === undefined ? {} : { status: kept }) };
}

/** RFC 7386. */
function merge(target: object, patch: object): Json {
  const result: Json = { ...target };
  for (const [name, value] of Object.entries(patch)) {
    const current = result[name];
    const both = isObject(value) && isObject(current);
    if (value === null) {
      delete result[name];
    } else {
      result[name] = both ? merge(current, value) : value;
    }
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
