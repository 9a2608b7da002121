/**
 * How a person calls us with sudo. On RHEL and its like sudo looks for programs only in the system's
 * own directories (sudoers(5), "secure_path"), where we are not: there only the whole path works.
 */
import { dirname } from 'node:path';
import { EXECUTABLE_LINK } from '../core/places.ts';
import type { CliContext } from './definition/context.ts';
import type { TerminalIo } from './terminal/io.ts';

const CALL = /\bsudo pipeops-agent\b(?=[^-./]|$)/g;
const FULL_CALL = `sudo ${EXECUTABLE_LINK}`;
const SUDOERS = '/etc/sudoers';
const SUDOERS_DIRECTORY = '/etc/sudoers.d';
const SECURE_PATH = 'secure_path';
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

/** The last file counts, and in it the last line. */
async function securePath(files: CliContext['files']): Promise<string | undefined> {
  let path: string | undefined;
  try {
    const names = await files.list(SUDOERS_DIRECTORY);
    for (const file of [SUDOERS, ...names.map((name) => `${SUDOERS_DIRECTORY}/${name}`)]) {
      for (const line of ((await files.readText(file)) ?? '').split('\n')) {
        path = securePathOf(line) ?? path;
      }
    }
  } catch {
    // A hint is no reason to fail.
  }
  return path;
}

/** `Defaults secure_path = "/usr/sbin:/usr/bin"`; undefined for another line. */
function securePathOf(line: string): string | undefined {
  const text = (line.split('#', 1)[0] ?? '').trim();
  const at = text.indexOf(SECURE_PATH);
  const value = text.slice(at + SECURE_PATH.length).trimStart();
  return text.startsWith('Defaults') && at > 0 && value.startsWith('=')
    ? value.slice(1).trimStart().replace(/^"/, '').split('"', 1)[0]
    : undefined;
}
