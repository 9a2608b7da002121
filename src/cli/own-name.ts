/**
 * How a person calls us with sudo. On RHEL and its relatives sudo looks for programs only in the
 * system's own directories (sudoers(5), "secure_path"), and ours is not among them: there only the
 * full path works.
 */
import { dirname } from 'node:path';
import type { CliContext } from './definition/context.ts';
import type { TerminalIo } from './terminal/io.ts';

const CALL = /\bsudo pipeops-agent\b(?=[^-./]|$)/g;
const SUDOERS = '/etc/sudoers';
const SUDOERS_DIRECTORY = '/etc/sudoers.d';
const SECURE_PATH = 'secure_path';
/** Where sudo's settings may not be read, one of these files shows RHEL, Fedora or Amazon. */
const RELEASE_FILES = ['/etc/redhat-release', '/etc/system-release'];

type Context = Pick<CliContext, 'env' | 'files' | 'places' | 'uid'>;

/** The same streams, but hints and examples written to them use a call that works here. */
export async function withOwnName(context: Context, io: TerminalIo): Promise<TerminalIo> {
  if (!(await needsFullPath(context))) {
    return io;
  }
  const fullCall = `sudo ${context.places.executableLink}`;
  const named = (text: string) => text.replace(CALL, fullCall);
  // Inherits from `io`, so that its getters are evaluated only when somebody asks.
  return Object.create(io, {
    stdout: { value: (text: string) => io.stdout(named(text)) },
    stderr: { value: (text: string) => io.stderr(named(text)) },
  });
}

async function needsFullPath({ env, files, places, uid }: Context): Promise<boolean> {
  if (uid !== 0) {
    const found = await Promise.all(RELEASE_FILES.map((path) => files.stat(path)));
    return found.some((stat) => stat !== undefined);
  }
  // sudo has set our own PATH, too.
  const path = env['SUDO_USER'] === undefined ? await securePath(files) : env['PATH'];
  return path !== undefined && !path.split(':').includes(dirname(places.executableLink));
}

/** The last file counts, and the last line in it. */
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
    // A hint is not worth failing for.
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
