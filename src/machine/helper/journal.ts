import { toAgentError } from '../../core/errors.ts';
import type { Files, Peer } from '../../core/ports.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import { type NotesLockDeps, withNotesLock } from './notes-lock.ts';

/** The file before is kept, so there are at most two of this size. */
const HELPER_JOURNAL_BYTES_MAX = 1024 * 1024;

export interface HelperJournal {
  /**
   * Notes a request before its work, and then what came of it. Nothing is done that could not be noted.
   * @throws what the work throws; DISK_FULL, FILE_ACCESS, BUSY
   */
  around<T>(request: HelperRequest, work: () => Promise<T>): Promise<T>;
  /** Notes what never became a request. Nothing where `around` has noted the failure. */
  failed(code: string): Promise<void>;
}

/** Who asked root's helper, for what, and what came of it: in root's directory, where the daemon has no part. */
export function helperJournal(
  deps: NotesLockDeps & { readonly files: Files },
  peer: Peer | undefined,
): HelperJournal {
  const who = peer === undefined ? {} : { uid: peer.uid, pid: peer.pid };
  const note = (fields: Readonly<Record<string, unknown>>) =>
    withNotesLock(deps, () =>
      append(deps, { at: deps.clock.now().toISOString(), ...who, ...fields }),
    );
  let isNoted = false;
  return {
    around: async (request, work) => {
      const what = {
        verb: request.verb,
        ...('command_id' in request && { command_id: request.command_id }),
      };
      await note({ ...what, outcome: 'begun' });
      const begunAt = deps.clock.monotonic();
      const end = (outcome: string) =>
        note({ ...what, outcome, ms: Math.round(deps.clock.monotonic() - begunAt) });
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
    failed: async (code) => {
      if (!isNoted) {
        await note({ outcome: code });
      }
    },
  };
}

async function append(
  { files, places }: Pick<NotesLockDeps, 'places'> & { readonly files: Files },
  line: Readonly<Record<string, unknown>>,
): Promise<void> {
  const path = places.helperJournalFile;
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
