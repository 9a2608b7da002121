import { toAgentError } from '../../core/errors.ts';
import type { Files, Peer } from '../../core/ports.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import { type NotesLockDeps, withNotesLock } from './notes-lock.ts';

/** Of each file. The one before is kept, so there are at most two of this size. */
const HELPER_JOURNAL_BYTES_MAX = 1024 * 1024;

/** They change nothing. */
const READING_VERBS: readonly HelperRequest['verb'][] = [
  'host_facts',
  'upgrade_outcome',
  'upgrade_k3s_state',
];

export interface HelperJournal {
  /**
   * Notes a request that is let through before its work, and then what came of it. Nothing is done that could not
   * be noted.
   * @throws what the work throws; DISK_FULL, FILE_ACCESS, BUSY
   */
  around<T>(request: HelperRequest, work: () => Promise<T>): Promise<T>;
  /**
   * Notes what was refused. Nothing where `around` has noted the failure.
   * @param request undefined for what is none
   */
  refused(code: string, request: HelperRequest | undefined): Promise<void>;
}

type Deps = NotesLockDeps & { readonly files: Files };

/**
 * Who asked root's helper, for what, and what came of it: in root's directory, where the daemon has no part. What
 * the helper did stands apart: who has taken the daemon over can ask thousands of times for what changes nothing.
 */
export function helperJournal(deps: Deps, peer: Peer | undefined): HelperJournal {
  const { helperJournalFile, helperOtherFile } = deps.places;
  const who = peer === undefined ? {} : { uid: peer.uid, pid: peer.pid };
  const note = (path: string, fields: Readonly<Record<string, unknown>>) =>
    withNotesLock(deps, () =>
      append(deps, path, { at: deps.clock.now().toISOString(), ...who, ...fields }),
    );
  let isNoted = false;
  return {
    around: async (request, work) => {
      const path = READING_VERBS.includes(request.verb) ? helperOtherFile : helperJournalFile;
      const what = whatOf(request);
      await note(path, { ...what, outcome: 'begun' });
      const begunAt = deps.clock.monotonic();
      const end = (outcome: string) =>
        note(path, { ...what, outcome, ms: Math.round(deps.clock.monotonic() - begunAt) });
      try {
        const result = await work();
        await end('done');
        return result;
      } catch (thrown) {
        isNoted = true;
        await end(toAgentError(thrown).code);
        throw thrown;
      }
    },
    refused: async (code, request) => {
      if (!isNoted) {
        await note(helperOtherFile, { ...(request && whatOf(request)), outcome: code });
      }
    },
  };
}

function whatOf(request: HelperRequest): Readonly<Record<string, unknown>> {
  return {
    verb: request.verb,
    ...('command_id' in request && { command_id: request.command_id }),
  };
}

async function append(
  { files }: Pick<Deps, 'files'>,
  path: string,
  line: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (((await files.stat(path))?.size ?? 0) > HELPER_JOURNAL_BYTES_MAX) {
    await files.rename(path, `${path}.1`);
  }
  const file = await files.growFile(path, { mode: 0o600, keeps: true });
  try {
    await file.append(Buffer.from(`${JSON.stringify(line)}\n`));
  } finally {
    await file.close({ sync: true });
  }
}
