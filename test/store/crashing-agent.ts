/**
 * What command-journal-crash.test.ts kills: a small agent that fetches commands, runs them and
 * delivers their results, and that ends itself with SIGKILL at a chosen point.
 * Usage: bun crashing-agent.ts <directory> <point>
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandResult } from '../../src/protocol/rest.ts';
import { commandJournal } from '../../src/store/command-journal.ts';
import { openDatabase } from '../../src/store/database.ts';
import { manualClock } from '../support/manual-clock.ts';

export const COMMAND_IDS = ['first', 'second'] as const;

/** A line of the file `received`: what the control plane got. */
export interface Received {
  readonly commandId: string;
  readonly result: CommandResult;
}

export function receivedBy(directory: string): readonly Received[] {
  const path = join(directory, 'received');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

/**
 * Goes on until every command was received. @param passPoint called wherever a crash may come:
 * after each step and after each statement, also inside a transaction
 */
export function runAgent(directory: string, runId: string, passPoint: () => void): void {
  const clock = manualClock();
  using database = openDatabase({ clock }, join(directory, 'agent.db')).database;
  const runStatement = database.run.bind(database);
  database.run = (...statement: Parameters<typeof runStatement>) => {
    const changes = runStatement(...statement);
    passPoint();
    return changes;
  };
  const journal = commandJournal({ database, clock });

  const received = new Set(receivedBy(directory).map(({ commandId }) => commandId));
  for (const id of COMMAND_IDS.filter((each) => !received.has(each))) {
    journal.accept({ id, type: 'scale', payload: { name: id } });
    passPoint();
  }
  for (const { command } of journal.open()) {
    const attempts = journal.begin(command.id);
    passPoint();
    journal.checkpoint(command.id, { by: runId });
    passPoint();
    journal.finish(command.id, resultOf(command.id, runId, attempts));
    passPoint();
  }
  for (const pending of journal.pending(10)) {
    appendFileSync(join(directory, 'received'), `${JSON.stringify(pending)}\n`);
    passPoint();
    journal.delivered(pending.commandId);
    passPoint();
  }
}

/** Each run of a command gives another result, so that a second one would be seen. */
function resultOf(commandId: string, runId: string, attempts: number): CommandResult {
  return {
    success: true,
    output: `${commandId} by ${runId}`,
    metadata: {
      attempts,
      started_at: null,
      finished_at: '2026-01-01T00:00:00.000Z',
      duration_ms: 0,
      truncated: false,
    },
    timestamp: '2026-01-01T00:00:00.000Z',
  };
}

if (import.meta.main) {
  const [directory = '', point = ''] = process.argv.slice(2);
  let passed = 0;
  runAgent(directory, 'the one that was killed', () => {
    passed += 1;
    if (passed === Number(point)) {
      process.kill(process.pid, 'SIGKILL');
    }
  });
}
