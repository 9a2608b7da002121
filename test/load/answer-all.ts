import type { CommandJournal } from '../../src/store/journal/commands.ts';

/** Runs every command: each does nothing, and succeeds. */
export async function answerAll(journal: CommandJournal, signal: AbortSignal): Promise<void> {
  let sequence = 0;
  while (!signal.aborted) {
    for (let entry = journal.nextOpen(sequence); entry; entry = journal.nextOpen(sequence)) {
      sequence = entry.sequence;
      await journal.begin(entry.command.id);
      const timestamp = new Date().toISOString();
      await journal.finish(entry.command.id, {
        success: true,
        output: '',
        timestamp,
        metadata: {
          attempts: 1,
          started_at: timestamp,
          finished_at: timestamp,
          duration_ms: 0,
          truncated: false,
        },
      });
    }
    await journal.whenWork(signal);
  }
}

/** Writes are committed in their order: when this one is, so are those before it. */
export async function settled(journal: CommandJournal): Promise<void> {
  await journal.prune();
}
