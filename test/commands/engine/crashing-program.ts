/**
 * One life of the command engine: takes a command in, runs it, delivers its result. As a program
 * it ends itself with SIGKILL just before or just after its n-th commit.
 * Usage: bun crashing-engine.ts <life as JSON> <n> <before|after>
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandExecutor } from '../../../src/commands/engine/executor.ts';
import { commandProgress } from '../../../src/commands/engine/progress.ts';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import { channelOpener } from '../../../src/kubernetes/api/channel-stream.ts';
import { kubernetesClient } from '../../../src/kubernetes/api/client.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { trustingDial } from '../../../src/platform/network/trusting-dial.ts';
import { systemRunSoon } from '../../../src/platform/run-soon.ts';
import type { Command } from '../../../src/protocol/rest.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { commandJournal } from '../../../src/store/journal/commands.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';
import { HELPER_ANSWERS } from '../command-samples.ts';

export interface EngineLife {
  /** Holds `agent.db`, and `received`: a line for each result that the control plane got. */
  readonly directory: string;
  readonly kubernetes: { readonly server: string; readonly ca: string; readonly token: string };
  readonly command: Command;
}

/** @param atCommit called just before and just after each commit, which are counted from 1 */
export async function liveOnce(
  { directory, kubernetes, command }: EngineLife,
  atCommit: (commit: number, when: 'before' | 'after') => void,
): Promise<void> {
  const clock = systemClock;
  using database = openDatabase({ clock }, join(directory, 'agent.db')).database;
  const transaction = database.transaction.bind(database);
  let commits = 0;
  database.transaction = ((work: () => unknown) => () => {
    commits += 1;
    atCommit(commits, 'before');
    const value = transaction(work)();
    atCommit(commits, 'after');
    return value;
  }) as typeof database.transaction;
  const journal = commandJournal({ database, clock, runSoon: systemRunSoon });
  const credentials = { current: async () => kubernetes, reload: () => undefined };
  // It outlives the process, as the one of an agent does.
  const tokenFile = join(directory, 'token');
  const token = () => (existsSync(tokenFile) ? readFileSync(tokenFile, 'utf8') : 'token');
  const executor = commandExecutor({
    ended: () => undefined,
    ...unusedCommandDeps(),
    clock,
    journal,
    log: memoryLog(),
    progress: commandProgress({ clock }),
    kubernetes: kubernetesClient({ clock: systemClock, http: systemHttp, credentials }),
    openChannels: channelOpener({ clock, credentials, dialTrusting: trustingDial }),
    askHelper: async ({ verb }) => HELPER_ANSWERS[verb],
    ownToken: {
      inUse: token,
      settled: token,
      begin: async (next) => writeFileSync(tokenFile, next),
      goBack: async () => undefined,
    },
    releases: { find: async () => ({ version: '9.9.9', stage: async () => undefined }) },
    loadHandlers: async () => COMMAND_HANDLERS,
  });
  const stop = new AbortController();
  const { done } = await executor.start(stop.signal);
  await journal.accept(command);
  while (journal.counts().accepted + journal.counts().running > 0) {
    await journal.whenPending(stop.signal);
  }
  for (const pending of journal.pending(10)) {
    appendFileSync(join(directory, 'received'), `${JSON.stringify(pending)}\n`);
    await journal.delivered(pending.commandId);
  }
  stop.abort();
  await done;
}

if (import.meta.main) {
  const [life = '', point = '', moment = ''] = process.argv.slice(2);
  await liveOnce(JSON.parse(life), (commit, when) => {
    if (commit === Number(point) && when === moment) {
      process.kill(process.pid, 'SIGKILL');
    }
  });
}
