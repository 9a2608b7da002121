/**
 * How a person calls us with sudo. On RHEL and its like sudo looks for programs only in the system's
 * own directories (sudoers(5), "secure_path"), where we are not: there only the whole path works.
 */
import { dirname } from 'node:path';
import { EXECUTABLE_LINK } from '../host/paths.ts';
import type { CliContext, TerminalIo } from './context.ts';

const CALL = /\bsudo pipeops-agent\b(?=[^-./]|$)/g;
const FULL_CALL = `sudo ${EXECUTABLE_LINK}`;
const SUDOERS = '/etc/sudoers';
const SUDOERS_DIRECTORY = '/etc/sudoers.d';
/** The last of them counts, and so does the last line. */
const SECURE_PATH = /^\s*Defaults\b[^#\n]*\bsecure_path\s*=\s*"?([^"\n]*)"?/gm;
/** Who may not read sudo's settings sees by these that they are those of RHEL, Fedora or Amazon. */
const RELEASE_FILES = ['/etc/redhat-release', '/etc/system-release'];

type Context = Pick<CliContext, 'env' | 'files' | 'uid'>;

/** The same streams; hints and examples that go through them name a call that works here. */
export async function withOwnName(context: Context, io: TerminalIo): Promise<TerminalIo> {
  if (!(await needsFullPath(context))) {
    return io;
  }
  const named = (text: string) => text.replace(CALL, FULL_CALL);
  // Its getters are asked only when somebody wants to know.
  return Object.create(io, {
    stdout: { value: (text: string) => io.stdout(named(text)) },
    stderr: { value: (text: string) => io.stderr(named(text)) },
  });
}

async function needsFullPath({ env, files, uid }: Context): Promise<boolean> {
  if (uid !== 0) {
    const found = await Promise.all(RELEASE_FILES.map((path) => files.stat(path)));
    return found.some((stat) => stat !== undefined);
  }
  // sudo has set our own PATH, too.
  const path = env['SUDO_USER'] === undefined ? await securePath(files) : env['PATH'];
  return path !== undefined && !path.split(':').includes(dirname(EXECUTABLE_LINK));
}

async function securePath(files: CliContext['files']): Promise<string | undefined> {
  let path: string | undefined;
  try {
    const names = await files.list(SUDOERS_DIRECTORY);
    for (const file of [SUDOERS, ...names.map((name) => `${SUDOERS_DIRECTORY}/${name}`)]) {
      const lines = ((await files.readText(file)) ?? '').matchAll(SECURE_PATH);
      path = [...lines].at(-1)?.[1] ?? path;
    }
  } catch {
    // A hint is no reason to fail.
  }
  return path;
}
