import type { Places } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import { LeaveNote } from '../../protocol/files/leave-note.ts';

interface Deps {
  readonly files: Files;
  readonly places: Places;
}

/** @returns undefined where no `leave` has come so far that it must be finished */
export async function readLeaveNote({ files, places }: Deps): Promise<LeaveNote | undefined> {
  try {
    return LeaveNote.safeParse(JSON.parse((await files.readText(places.leaveNoteFile)) ?? '')).data;
  } catch {
    return undefined; // The machine itself says the rest.
  }
}

export async function writeLeaveNote({ files, places }: Deps, note: LeaveNote): Promise<void> {
  await files.claimDirectory(places.hostStateDirectory, { mode: 0o700 });
  await files.writeAtomic(places.leaveNoteFile, `${JSON.stringify(note, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** The machine stays in its cluster, or has come into one again. */
export async function dropLeaveNote({ files, places }: Deps): Promise<void> {
  await files.remove(places.leaveNoteFile);
}
