/** The programs of a change of k3s: the new one beside, the switch in one step, and the one before, which stays. */
import { AgentError } from '../../../core/errors.ts';
import { K3S_EXECUTABLE, K3S_NEXT_FILE, K3S_PREVIOUS_FILE } from '../../../core/k3s-places.ts';
import type { Exec, Files } from '../../../core/ports.ts';
import { hashOfFile } from '../../engine/file-hash.ts';
import { placeFile } from '../../engine/place-file.ts';
import { type K3sOrigin, PROGRAM_MODE } from '../origin.ts';

const VERSION_TIMEOUT_MS = 30_000;
const RELABEL_TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
}

/**
 * Puts the new program beside the present one, and lets it say which it is.
 * @returns its SHA-256
 * @throws AgentError DOWNLOAD_FAILED, DOWNLOAD_CORRUPT, DISK_FULL, INTERRUPTED
 */
export async function stageK3s(
  deps: Deps,
  origin: K3sOrigin,
  version: string,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  await origin.placeProgram(version, K3S_NEXT_FILE, update, signal);
  const { stdout } = await deps.exec.run([K3S_NEXT_FILE, '--version'], {
    timeoutMs: VERSION_TIMEOUT_MS,
    signal,
  });
  if (!stdout.split(/\s+/).includes(version)) {
    await deps.files.remove(K3S_NEXT_FILE);
    throw new AgentError('DOWNLOAD_CORRUPT', `What is offered as k3s ${version} is another one`, {
      hint: 'Check what the mirror has under that version (k3s.mirror), or name another one',
    });
  }
  return (await hashOfFile(deps.files, K3S_NEXT_FILE, signal)) ?? '';
}

/** Lets the unit start the new program from now on. Done already where it stands there. @throws AgentError DISK_FULL, FILE_ACCESS */
export async function switchToNextK3s(
  deps: Deps,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  const present = await hashOfFile(deps.files, K3S_EXECUTABLE, signal);
  if (present !== undefined && present !== sha256) {
    await copyProgram(deps, K3S_EXECUTABLE, K3S_PREVIOUS_FILE, present, signal);
    await deps.files.rename(K3S_NEXT_FILE, K3S_EXECUTABLE);
    await relabel(deps);
  }
}

/** Lets the unit start the program before again. @throws AgentError FILE_ACCESS, DISK_FULL */
export async function switchToPreviousK3s(deps: Deps, signal: AbortSignal): Promise<void> {
  const sha256 = (await hashOfFile(deps.files, K3S_PREVIOUS_FILE, signal)) ?? '';
  await copyProgram(deps, K3S_PREVIOUS_FILE, K3S_EXECUTABLE, sha256, signal);
  await relabel(deps);
}

async function copyProgram(
  { files }: Deps,
  from: string,
  to: string,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  const sizeBytes = (await files.stat(from))?.size ?? 0;
  const source = { path: from, offset: 0, sizeBytes, sha256 };
  await placeFile(files, source, { path: to, mode: PROGRAM_MODE }, signal);
}

/** k3s' SELinux policy knows its program by its path; a file that was moved there keeps another label. */
async function relabel({ exec, files }: Deps): Promise<void> {
  if ((await files.stat('/sys/fs/selinux/enforce')) !== undefined) {
    await exec.run(['restorecon', K3S_EXECUTABLE], { timeoutMs: RELABEL_TIMEOUT_MS });
  }
}
