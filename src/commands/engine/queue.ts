export interface QueuedCommand {
  readonly id: string;
  readonly sequence: number;
  readonly lane: string;
  readonly priority: 'urgent' | 'normal';
}

/**
 * The commands that wait to run. Within a lane they run one after the other in the order of
 * acceptance; among lanes the oldest goes first. It holds only ids, so that thousands of waiting
 * commands cost little, and no call looks at all of them.
 */
export interface CommandQueue {
  add(command: QueuedCommand): void;
  /** The oldest command of this priority whose lane is free; the lane is taken with it. */
  take(priority: QueuedCommand['priority']): QueuedCommand | undefined;
  /** The lane is free for its next command. */
  release(lane: string): void;
  /** @returns whether it waited */
  remove(commandId: string): boolean;
}

interface Lane {
  readonly waiting: QueuedCommand[];
  taken: boolean;
}

export function commandQueue(): CommandQueue {
  const commands = new Map<string, QueuedCommand>();
  const lanes = new Map<string, Lane>();
  /** The first one of each free lane, oldest first. */
  const ready = { urgent: [] as QueuedCommand[], normal: [] as QueuedCommand[] };

  const offerFirst = (name: string, lane: Lane) => {
    const first = lane.waiting[0];
    if (lane.taken) {
      return;
    }
    if (first === undefined) {
      lanes.delete(name);
    } else {
      const list = ready[first.priority];
      list.splice(positionOf(list, first.sequence), 0, first);
    }
  };

  return {
    add: (command) => {
      const lane = lanes.get(command.lane) ?? { waiting: [], taken: false };
      lanes.set(command.lane, lane);
      commands.set(command.id, command);
      lane.waiting.push(command);
      if (lane.waiting.length === 1) {
        offerFirst(command.lane, lane);
      }
    },
    take: (priority) => {
      const command = ready[priority].shift();
      const lane = command === undefined ? undefined : lanes.get(command.lane);
      if (command !== undefined && lane !== undefined) {
        lane.taken = true;
        lane.waiting.shift();
        commands.delete(command.id);
      }
      return command;
    },
    release: (name) => {
      const lane = lanes.get(name);
      if (lane !== undefined) {
        lane.taken = false;
        offerFirst(name, lane);
      }
    },
    remove: (commandId) => {
      const command = commands.get(commandId);
      const lane = command === undefined ? undefined : lanes.get(command.lane);
      if (command === undefined || lane === undefined) {
        return false;
      }
      commands.delete(commandId);
      const wasFirst = lane.waiting[0] === command;
      lane.waiting.splice(lane.waiting.indexOf(command), 1);
      if (wasFirst && !lane.taken) {
        const list = ready[command.priority];
        list.splice(positionOf(list, command.sequence), 1);
        offerFirst(command.lane, lane);
      }
      return true;
    },
  };
}

/** The index at which the sequence is, or would be, in an ordered list. */
function positionOf(list: readonly QueuedCommand[], sequence: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle]?.sequence ?? sequence) < sequence) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
