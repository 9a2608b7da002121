/** Which commands the control plane has the result of, in the cluster: lists, the newest is added to. */
import { isRejectedWith } from '../../kubernetes/api/rejection.ts';
import type { Lines, MemoryObject, MemoryObjects } from '../../kubernetes/memory/objects.ts';
import { DeliveredCommand, DeliveredList, parseMemory } from '../../protocol/command-record.ts';
import { DELIVERED_KEPT_MAX } from '../../store/journal/pruning.ts';
import { slimResult } from '../../store/journal/rows.ts';
import type { EndedCommand } from '../../store/journal/sharing.ts';
import { isDamage, reach, withoutSmall } from './records.ts';
import { sharedResult } from './shared-result.ts';

/** Commands of one list: adding to it writes it anew. */
export const LIST_COMMANDS_MAX = 100;
/** Lists that are kept, the newest: as many commands as a journal remembers. */
export const LISTS_MAX = DELIVERED_KEPT_MAX / LIST_COMMANDS_MAX;
/** A longer result is kept without its output and data, characters. */
const RESULT_CHARS_MAX = 1024;
const VALUE = 'commands';

export interface DeliveredLists {
  /** Reads them all, the oldest first. */
  readAll(onCommands: (commands: readonly EndedCommand[]) => Promise<void>): Promise<void>;
  /** ISO time before which commands may have ended that are in no list any more. */
  forgottenBefore(): string | undefined;
  /** @param commands at most `LIST_COMMANDS_MAX` */
  add(commands: readonly EndedCommand[]): Promise<void>;
}

interface List {
  readonly number: number;
  readonly object: MemoryObject;
}

interface Lists {
  readonly objects: MemoryObjects;
  /** Oldest first; the last one is added to. */
  all: List[];
  /** Of the last one. */
  lines: Lines;
  /** ISO time at which the oldest command ended. */
  oldestEnd: string | undefined;
}

export function deliveredLists(objects: MemoryObjects): DeliveredLists {
  const lists: Lists = { objects, all: [], lines: [], oldestEnd: undefined };
  return {
    readAll: (onCommands) => readAll(lists, onCommands),
    forgottenBefore: () => (lists.all.length < LISTS_MAX ? undefined : lists.oldestEnd),
    add: (commands) => add(lists, commands),
  };
}

async function readAll(
  lists: Lists,
  onCommands: (commands: readonly EndedCommand[]) => Promise<void>,
): Promise<void> {
  const found: List[] = [];
  const onObject = async (object: MemoryObject) => {
    const head = parseMemory(DeliveredList, object.head);
    if (head !== undefined) {
      found.push({ number: head.number, object });
    }
  };
  await reach(() => lists.objects.each('delivered', onObject));
  found.sort((a, b) => a.number - b.number);
  lists.oldestEnd = undefined;
  lists.all = found.map(({ number, object }) => ({ number, object: withoutSmall(object) }));
  for (const { object } of found) {
    lists.lines = await linesOf(lists, object);
    const commands = lists.lines.flatMap((line) => parseMemory(DeliveredCommand, line) ?? []);
    lists.oldestEnd ??= commands[0]?.result.timestamp;
    await onCommands(commands);
  }
}

async function add(lists: Lists, commands: readonly EndedCommand[]): Promise<void> {
  const added = commands.map(lineOf);
  const last = lists.all.at(-1);
  const isNew = last === undefined || lists.lines.length + added.length > LIST_COMMANDS_MAX;
  if (isNew || !(await addTo(lists, last, added))) {
    await begin(lists, (last?.number ?? 0) + 1, added);
    await forgetOldest(lists);
  }
}

function lineOf({ id, type, ...ended }: EndedCommand): string {
  const result = sharedResult(ended.result);
  const isLong = JSON.stringify(result).length > RESULT_CHARS_MAX;
  return JSON.stringify({ id, type, result: isLong ? slimResult(result) : result });
}

/** @returns false where somebody else has changed it, or taken it away; it stays as it is */
async function addTo(lists: Lists, last: List, added: Lines): Promise<boolean> {
  const lines = [...lists.lines, ...added];
  const content = { head: last.object.head, values: { [VALUE]: lines } };
  try {
    const object = await reach(() => lists.objects.change(last.object, content));
    lists.all.splice(-1, 1, { number: last.number, object: withoutSmall(object) });
    lists.lines = lines;
    return true;
  } catch (thrown) {
    if (isRejectedWith(404, thrown) || isRejectedWith(409, thrown)) {
      return false;
    }
    throw thrown;
  }
}

/** Where there is one of that number, from a try before this one or by somebody else, the next is made. */
async function begin(lists: Lists, first: number, lines: Lines): Promise<void> {
  for (let number = first; ; number += 1) {
    const head = JSON.stringify({ v: 1, number } satisfies DeliveredList);
    const content = { head, values: { [VALUE]: lines } };
    try {
      const object = await reach(() =>
        lists.objects.create('delivered', `delivered-${number}`, content),
      );
      lists.all.push({ number, object: withoutSmall(object) });
      lists.lines = lines;
      return;
    } catch (thrown) {
      if (!isRejectedWith(409, thrown) || number > first + LISTS_MAX) {
        throw thrown;
      }
    }
  }
}

async function forgetOldest(lists: Lists): Promise<void> {
  while (lists.all.length > LISTS_MAX) {
    const [oldest] = lists.all;
    if (oldest !== undefined) {
      await reach(() => lists.objects.remove(oldest.object));
    }
    lists.all.shift();
  }
}

/** None of a list that is damaged: without it an old duplicate may run, with it nothing would. */
async function linesOf({ objects }: Lists, object: MemoryObject): Promise<Lines> {
  try {
    return (await reach(() => objects.read(object, VALUE))) ?? [];
  } catch (thrown) {
    if (isDamage(thrown)) {
      return [];
    }
    throw thrown;
  }
}
