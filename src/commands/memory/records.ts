/**
 * The records of commands in the cluster, as one tenure of one server changes them. A record is changed
 * only in the state in which it was last seen here: who takes over changes the holder of each, and from
 * then on the one before is refused. So a command is begun, noted and finished by one server, whatever
 * pauses and wakes up again.
 */
import { AgentError, toAgentError } from '../../core/errors.ts';
import { isRejectedWith } from '../../kubernetes/api/rejection.ts';
import type { Lines, MemoryObject, MemoryObjects } from '../../kubernetes/memory/objects.ts';
import { CommandRecord, parseMemory } from '../../protocol/command-record.ts';

/** Commands that have a record, at most; one more is not accepted. */
export const RECORDS_MAX = 1_000;
/** … and their bytes, packed. A result that exceeds this loses its output and data. */
export const RECORD_BYTES_MAX = 32 * 1024 * 1024;
/** Characters of the hash that names a record. */
const NAME_CHARS = 32;
/** Tries to change a record whose state is not as it was seen: each begins by looking at it. */
const CHANGE_TRIES = 5;

export type RecordValue = 'command' | 'note' | 'result';
export type RecordValues = Readonly<Partial<Record<RecordValue, Lines | null>>>;
type Facts = Pick<
  CommandRecord,
  'id' | 'type' | 'accepted_at' | 'attempts' | 'started_at' | 'cancelled_at'
>;

export interface KnownRecord {
  readonly object: MemoryObject;
  readonly record: CommandRecord;
}

export interface RecordBook {
  has(commandId: string): boolean;
  /** There is no room for one more command. */
  isFull(): boolean;
  /** @returns whether a value of so many characters is too much */
  isTooMuch(chars: number): boolean;
  /** Makes the record of a command. One that this tenure has made already counts. */
  add(facts: Facts, values: RecordValues): Promise<void>;
  /**
   * @returns what the record is now
   * @throws AgentError INTERNAL when another server has taken it over
   */
  change(
    commandId: string,
    update: (record: CommandRecord) => CommandRecord,
    values?: RecordValues,
  ): Promise<KnownRecord>;
  /**
   * Makes a record of another tenure one of this.
   * @returns it as it is now, with its values; undefined when it is gone
   */
  claim(object: MemoryObject, record: CommandRecord): Promise<KnownRecord | undefined>;
  remove(commandId: string): Promise<void>;
  read(known: KnownRecord, value: RecordValue): Promise<Lines | undefined>;
}

/** @param holder names the tenure, and no other one */
export function recordBook(objects: MemoryObjects, holder: string): RecordBook {
  const book: Book = { objects, holder, known: new Map(), bytes: 0, position: 1 };
  return {
    has: (id) => book.known.has(id),
    isFull: () => book.known.size >= RECORDS_MAX || book.bytes >= RECORD_BYTES_MAX,
    isTooMuch: (chars) => book.bytes + chars > RECORD_BYTES_MAX,
    add: (facts, values) => add(book, facts, values),
    change: (id, update, values = {}) => change(book, id, update, values),
    claim: (object, record) => claim(book, object, record),
    remove: (id) => remove(book, id),
    read: async ({ object }, value) => await reach(() => objects.read(object, value)),
  };
}

interface Book {
  readonly objects: MemoryObjects;
  readonly holder: string;
  readonly known: Map<string, KnownRecord>;
  /** Of all that is known. */
  bytes: number;
  /** Of the next command. */
  position: number;
}

/** @returns undefined where it was written by somebody else, or by a version that is too new */
export function recordOf({ head }: MemoryObject): CommandRecord | undefined {
  return parseMemory(CommandRecord, head);
}

/** Letters that Kubernetes takes in a name, whatever the id is made of. */
export function recordName(commandId: string): string {
  return new Bun.CryptoHasher('sha256').update(commandId).digest('hex').slice(0, NAME_CHARS);
}

/**
 * @throws AgentError MEMORY_UNREACHABLE when the cluster does not answer, or refuses: it may work later.
 *   ApiRejection 404 and 409 are thrown as they are, and STORE_CORRUPT: that will never work
 */
export async function reach<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (isRejectedWith(404, thrown) || isRejectedWith(409, thrown) || isDamage(thrown)) {
      throw thrown;
    }
    const { message } = toAgentError(thrown);
    throw new AgentError('MEMORY_UNREACHABLE', `The cluster cannot note a command: ${message}`, {
      hint: 'See how Kubernetes is: sudo k3s kubectl get nodes. Commands wait until it answers',
      cause: thrown,
    });
  }
}

export function isDamage(thrown: unknown): boolean {
  return thrown instanceof AgentError && thrown.code === 'STORE_CORRUPT';
}

/** @returns it with its values */
function keep(book: Book, object: MemoryObject, record: CommandRecord): KnownRecord {
  book.bytes += object.bytes - (book.known.get(record.id)?.object.bytes ?? 0);
  book.known.set(record.id, { object: withoutSmall(object), record });
  book.position = Math.max(book.position, record.position + 1);
  return { object, record };
}

/** For what is kept long: only where its large values are. */
export function withoutSmall(object: MemoryObject): MemoryObject {
  const large = Object.entries(object.values).filter(([, value]) => !(value instanceof Uint8Array));
  return { ...object, values: Object.fromEntries(large) };
}

async function add(book: Book, facts: Facts, values: RecordValues): Promise<void> {
  const record: CommandRecord = { ...facts, v: 1, position: book.position, holder: book.holder };
  book.position += 1;
  const name = recordName(record.id);
  const content = { head: JSON.stringify(record), values: valuesOf(values) };
  try {
    const made = await reach(() => book.objects.create('command', name, content));
    keep(book, made, record);
  } catch (thrown) {
    if (!isRejectedWith(409, thrown)) {
      throw thrown;
    }
    await look(book, record.id); // A try before this one has made it.
    await change(book, record.id, (there) => ({ ...record, position: there.position }), values);
  }
}

async function change(
  book: Book,
  id: string,
  update: (record: CommandRecord) => CommandRecord,
  values: RecordValues,
): Promise<KnownRecord> {
  for (let tries = 0; tries < CHANGE_TRIES; tries += 1) {
    const { object, record } = book.known.get(id) ?? (await look(book, id));
    const next = update(record);
    const content = { head: JSON.stringify(next), values: valuesOf(values) };
    try {
      const changed = await reach(() => book.objects.change(object, content));
      return keep(book, changed, next);
    } catch (thrown) {
      if (isRejectedWith(404, thrown)) {
        throw lost(id);
      }
      if (!isRejectedWith(409, thrown)) {
        throw thrown;
      }
      await look(book, id); // A try before this one may have changed it.
    }
  }
  throw lost(id);
}

/** @throws AgentError INTERNAL when it is not of this tenure any more */
async function look(book: Book, id: string): Promise<KnownRecord> {
  const object = await reach(() => book.objects.find(recordName(id)));
  const record = object === undefined ? undefined : recordOf(object);
  if (object === undefined || record === undefined || record.holder !== book.holder) {
    throw lost(id);
  }
  return keep(book, object, record);
}

/** Ends the daemon: at its next start it learns what became of all commands. */
function lost(id: string): AgentError {
  return new AgentError('INTERNAL', `Another server has taken over the command ${id}`);
}

async function claim(
  book: Book,
  object: MemoryObject,
  record: CommandRecord,
): Promise<KnownRecord | undefined> {
  let [at, seen] = [object, record];
  for (let tries = 0; tries < CHANGE_TRIES; tries += 1) {
    const next = { ...seen, holder: book.holder };
    const content = { head: JSON.stringify(next), values: {} };
    try {
      const claimed = await reach(() => book.objects.change(at, content));
      keep(book, claimed, next);
      return { object: claimed, record: next };
    } catch (thrown) {
      if (!isRejectedWith(404, thrown) && !isRejectedWith(409, thrown)) {
        throw thrown;
      }
      const found = await reach(() => book.objects.find(at.name));
      const now = found === undefined ? undefined : recordOf(found);
      if (found === undefined || now === undefined) {
        return undefined;
      }
      [at, seen] = [found, now];
    }
  }
  throw lost(record.id);
}

async function remove(book: Book, id: string): Promise<void> {
  const known = book.known.get(id);
  if (known !== undefined) {
    await reach(() => book.objects.remove(known.object));
    book.known.delete(id);
    book.bytes -= known.object.bytes;
  }
}

function valuesOf(values: RecordValues): Readonly<Record<string, Lines | null>> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, lines]) => (lines === undefined ? [] : [[key, lines]])),
  );
}
