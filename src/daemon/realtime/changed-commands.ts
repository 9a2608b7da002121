import type { CommandProgress } from '../../commands/engine/progress.ts';
import type { CommandJournal } from '../../store/journal/commands.ts';

/** Changed commands that are remembered until somebody takes them. */
export const CHANGED_MAX = 1_000;

/** Which commands have changed, while somebody wants to know. */
export interface ChangedCommands {
  /** From now on, changes are remembered, or no longer. */
  want(isWanted: boolean): void;
  note(commandId: string): void;
  /** What has changed since the last call, and whether that is all. */
  take(): { readonly ids: readonly string[]; readonly isWhole: boolean };
}

export function changedCommands(): ChangedCommands {
  let isWanted = false;
  let isWhole = true;
  let ids = new Set<string>();
  return {
    want: (wish) => {
      isWanted = wish;
      ids.clear();
    },
    note: (commandId) => {
      if (isWanted) {
        const hasRoom = ids.size < CHANGED_MAX || ids.has(commandId);
        isWhole &&= hasRoom;
        if (hasRoom) {
          ids.add(commandId);
        }
      }
    },
    take: () => {
      const taken = { ids: [...ids], isWhole };
      ids = new Set();
      isWhole = true;
      return taken;
    },
  };
}

/** The journal, which notes each command that it has changed. */
export function notingJournal(
  journal: CommandJournal,
  { note }: Pick<ChangedCommands, 'note'>,
): CommandJournal {
  const noted = async <T>(commandId: string, change: Promise<T>): Promise<T> => {
    const outcome = await change;
    note(commandId);
    return outcome;
  };
  return {
    ...journal,
    accept: (command, past) => noted(command.id, journal.accept(command, past)),
    cancel: (id) => noted(id, journal.cancel(id)),
    begin: (id) => noted(id, journal.begin(id)),
    finish: (id, result) => noted(id, journal.finish(id, result)),
    delivered: (id) => noted(id, journal.delivered(id)),
  };
}

/** The same of what running commands tell. */
export function notingProgress(
  progress: CommandProgress,
  { note }: Pick<ChangedCommands, 'note'>,
): CommandProgress {
  return {
    ...progress,
    report: (news) => {
      progress.report(news);
      note(news.id);
    },
  };
}
