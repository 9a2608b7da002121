import { describe, expect, test } from 'bun:test';
import { commandQueue, type QueuedCommand } from '../../../src/commands/engine/queue.ts';
import { seededRandom } from '../../support/seeded-random.ts';

type Priority = QueuedCommand['priority'];

function queueOf(...commands: readonly (readonly [id: string, lane: string, Priority?])[]) {
  const queue = commandQueue();
  for (const [index, [id, lane, priority = 'normal']] of commands.entries()) {
    queue.add({ id, lane, priority, sequence: index + 1 });
  }
  const takeAll = (priority: Priority = 'normal') => {
    const taken: string[] = [];
    for (let next = queue.take(priority); next !== undefined; next = queue.take(priority)) {
      taken.push(next.id);
    }
    return taken;
  };
  return { ...queue, takeAll };
}

describe('commandQueue()', () => {
  test('gives the oldest of each free lane, and the next when its lane is released', () => {
    const queue = queueOf(['a1', 'a'], ['a2', 'a'], ['b1', 'b'], ['a3', 'a']);
    expect(queue.takeAll()).toEqual(['a1', 'b1']);
    queue.release('b');
    expect(queue.takeAll()).toEqual([]);
    queue.release('a');
    expect(queue.takeAll()).toEqual(['a2']);
  });

  test('does not let an urgent command pass another one of its lane', () => {
    const queue = queueOf(['slow', 'a'], ['urgent', 'a', 'urgent'], ['other', 'b', 'urgent']);
    expect(queue.takeAll('urgent')).toEqual(['other']);
    expect(queue.takeAll()).toEqual(['slow']);
    queue.release('a');
    expect(queue.takeAll('urgent')).toEqual(['urgent']);
  });

  test('removes what waits, the first of a lane too, and not what was taken', () => {
    const queue = queueOf(['a1', 'a'], ['a2', 'a'], ['a3', 'a'], ['b1', 'b']);
    expect([queue.remove('a1'), queue.remove('a3'), queue.remove('a1')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(queue.takeAll()).toEqual(['a2', 'b1']);
    expect(queue.remove('a2')).toBeFalse();
    queue.release('a');
    expect(queue.takeAll()).toEqual([]);
  });

  test('agrees with a queue that looks at everything, whatever happens', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const pick = <T>(list: readonly T[]) => list[Math.floor(random.fraction() * list.length)];
    const queue = commandQueue();
    let waiting: QueuedCommand[] = [];
    const taken = new Set<string>();
    const firstFree = (priority: Priority) => {
      const heads = waiting.filter(
        (each) => waiting.find(({ lane }) => lane === each.lane) === each && !taken.has(each.lane),
      );
      return heads.find((each) => each.priority === priority);
    };
    for (let step = 1; step <= 20_000; step += 1) {
      const action = random.fraction();
      const lane = pick(['a', 'b', 'c', 'd']) ?? 'a';
      const priority = pick<Priority>(['urgent', 'normal']) ?? 'normal';
      if (action < 0.4 && waiting.length < 50) {
        const command = { id: `c${step}`, sequence: step, lane, priority };
        waiting.push(command);
        queue.add(command);
      } else if (action < 0.7) {
        const expected = firstFree(priority);
        expect({ seed, step, command: queue.take(priority) }).toEqual({
          seed,
          step,
          command: expected,
        });
        if (expected !== undefined) {
          taken.add(expected.lane);
          waiting = waiting.filter((each) => each !== expected);
        }
      } else if (action < 0.9) {
        if (taken.delete(lane)) {
          queue.release(lane);
        }
      } else {
        const command = pick(waiting);
        expect(queue.remove(command?.id ?? 'none')).toBe(command !== undefined);
        waiting = waiting.filter((each) => each !== command);
      }
    }
  });
});
