/** The memory of a cluster, in this process: with the refusals of Kubernetes, and its troubles. */
import { AgentError } from '../../src/core/errors.ts';
import { ApiRejection } from '../../src/kubernetes/api/rejection.ts';
import type {
  Lines,
  MemoryContent,
  MemoryKind,
  MemoryObject,
  MemoryObjects,
} from '../../src/kubernetes/memory/objects.ts';

interface Stored {
  readonly kind: MemoryKind;
  readonly object: MemoryObject;
  readonly lines: Readonly<Record<string, Lines>>;
}

/** What becomes of one call: it is done, and the answer comes or is lost; or it is never done. */
export type CallFate = 'answered' | 'answer lost' | 'not done';
/** Decides when a call is done, and what becomes of it. */
export type Gate = (call: string) => Promise<CallFate>;

export interface MemoryCluster {
  /** The memory as one server reaches it. */
  through(gate?: Gate): MemoryObjects;
  names(kind: MemoryKind): readonly string[];
  remove(name: string): void;
  /** Nobody can read its values any more, until they are written anew. */
  damage(name: string): void;
}

export function memoryCluster(): MemoryCluster {
  const stored = new Map<string, Stored>();
  const damaged = new Set<string>();
  let version = 0;
  const store = (
    name: string,
    uid: string,
    kind: MemoryKind,
    { head, values }: MemoryContent,
  ): MemoryObject => {
    version += 1;
    const lines = { ...stored.get(name)?.lines };
    for (const [key, value] of Object.entries(values)) {
      delete lines[key];
      if (value !== null) {
        lines[key] = value;
      }
    }
    const packed = Object.entries(lines).map(
      ([key, value]) => [key, Buffer.from(JSON.stringify(value))] as const,
    );
    const bytes = packed.reduce((sum, [, value]) => sum + value.byteLength, 0);
    const values_ = Object.fromEntries(packed);
    const object = { name, uid, version: `${version}`, head, values: values_, bytes };
    stored.set(name, { kind, object, lines });
    if (Object.values(values).some((value) => value !== null)) {
      damaged.delete(name);
    }
    return object;
  };
  const gated = async <T>(gate: Gate, call: string, work: () => T): Promise<T> => {
    const fate = await gate(call);
    const done = fate === 'not done' ? undefined : work();
    if (fate !== 'answered') {
      throw new AgentError('KUBERNETES_API', `${call}: ${fate}`, { hint: 'a test' });
    }
    return done as T;
  };
  return {
    names: (kind) => [...stored].flatMap(([name, each]) => (each.kind === kind ? [name] : [])),
    remove: (name) => void stored.delete(name),
    damage: (name) => void damaged.add(name),
    through: (gate = async () => 'answered') => ({
      each: async (kind, onObject) => {
        const all = await gated(gate, `list ${kind}`, () =>
          [...stored.values()].filter((each) => each.kind === kind),
        );
        for (const { object } of all) {
          await onObject(object);
        }
      },
      find: (name) => gated(gate, `get ${name}`, () => stored.get(name)?.object),
      create: (kind, name, content) =>
        gated(gate, `create ${name}`, () => {
          if (stored.has(name)) {
            throw rejection(409, 'AlreadyExists');
          }
          return store(name, `uid-${version}`, kind, content);
        }),
      change: (object, content) =>
        gated(gate, `change ${object.name}`, () => {
          const known = stored.get(object.name);
          if (known === undefined) {
            throw rejection(404, 'NotFound');
          }
          if (known.object.version !== object.version || known.object.uid !== object.uid) {
            throw rejection(409, 'Conflict');
          }
          return store(object.name, object.uid, known.kind, content);
        }),
      remove: (object) =>
        gated(gate, `remove ${object.name}`, () => {
          if (stored.get(object.name)?.object.uid === object.uid) {
            stored.delete(object.name);
          }
        }),
      read: async (object, key) => {
        const value = object.values[key];
        if (value !== undefined && damaged.has(object.name)) {
          throw new AgentError('STORE_CORRUPT', `${object.name} is damaged`, { hint: 'a test' });
        }
        return value instanceof Uint8Array ? JSON.parse(Buffer.from(value).toString()) : undefined;
      },
    }),
  };
}

function rejection(status: number, reason: string): ApiRejection {
  const code = status === 404 ? 'NOT_FOUND' : 'KUBERNETES_API';
  return new ApiRejection(code, reason, { status, reason }, 'a test');
}
