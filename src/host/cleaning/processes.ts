/** Containers outlive k3s (KillMode=process of its unit): what still runs of it is ended here. */
import { AgentError } from '../../core/errors.ts';
import { K3S_DATA_DIRECTORY } from '../../core/k3s-places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';

/** SIGKILL takes a moment where much memory is given back. */
const GONE_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 100;
const KILL_TIMEOUT_MS = 30_000;
/** Process ids of one call: far below the limit of a command line. */
const KILLED_AT_ONCE = 1_000;

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
}

interface Running {
  readonly pid: string;
  readonly parent: string;
  readonly isOfK3s: boolean;
}

/**
 * Ends k3s' own containerd and its shims with all that they have started. Another containerd on the
 * machine, and what belongs to it, goes on.
 * @throws AgentError TIMEOUT where one does not end
 */
export async function endContainers(deps: Deps): Promise<void> {
  const pace = { everyMs: LOOK_EVERY_MS, limitMs: GONE_WITHIN_MS };
  const end = await pollUntil(deps.clock, pace, undefined, async () => {
    const left = ofK3s(await running(deps.files));
    for (let at = 0; at < left.length; at += KILLED_AT_ONCE) {
      // One that has ended by itself meanwhile is no failure: the next look decides.
      await deps.exec.run(
        ['sh', '-c', 'kill -9 "$@"', 'sh', ...left.slice(at, at + KILLED_AT_ONCE)],
        { timeoutMs: KILL_TIMEOUT_MS },
      );
    }
    return left.length === 0 ? { found: true } : { soFar: left };
  });
  if (end.kind !== 'found') {
    throw new AgentError('TIMEOUT', `Processes of containers do not end: ${end.soFar.join(' ')}`, {
      hint: 'Look what holds them: ps -o pid,stat,wchan,args -p …; then run the same command again',
    });
  }
}

/** Those of k3s, and everything below them. */
function ofK3s(all: readonly Running[]): readonly string[] {
  const found = new Set(all.flatMap(({ pid, isOfK3s }) => (isOfK3s ? [pid] : [])));
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) {
      if (found.has(parent)) {
        found.add(pid);
      }
    }
  }
  return [...found];
}

async function running(files: Files): Promise<readonly Running[]> {
  const pids = (await files.list('/proc')).filter((name) => /^\d+$/.test(name));
  const own = await files.readLink(namespaceOf('self')).catch(() => undefined);
  return (await Promise.all(pids.map((pid) => look(files, pid, own)))).filter(
    (each) => each !== undefined,
  );
}

/** Of process ids (pid_namespaces(7)). */
function namespaceOf(pid: string): string {
  return `/proc/${pid}/ns/pid`;
}

/**
 * Undefined where it has ended, or waits for its parent to hear of that.
 * @param own the namespace of this machine: a k3s in a container of others (k3d, kind) has another one
 */
async function look(
  files: Files,
  pid: string,
  own: string | undefined,
): Promise<Running | undefined> {
  try {
    const stat = (await files.readText(`/proc/${pid}/stat`)) ?? '';
    // The name in brackets may hold anything, brackets too (proc(5)).
    const [, state = 'Z', parent = ''] =
      /\) (\S) (\d+)/.exec(stat.slice(stat.lastIndexOf(')'))) ?? [];
    const words = ((await files.readText(`/proc/${pid}/cmdline`)) ?? '').split('\0');
    // Where nobody may see it, it counts as ours.
    const isHere = async () => (await files.readLink(namespaceOf(pid)).catch(() => own)) === own;
    const isStart = isOfK3s(words) && (await isHere());
    return state === 'Z' ? undefined : { pid, parent, isOfK3s: isStart };
  } catch {
    return undefined; // It has ended while it was read.
  }
}

function isOfK3s([program = '', ...words]: readonly string[]): boolean {
  const name = program.slice(program.lastIndexOf('/') + 1);
  return (
    /^containerd(-shim.*)?$/.test(name) &&
    [program, ...words].some(
      (word) => word.includes('/run/k3s/') || word.includes(`${K3S_DATA_DIRECTORY}/`),
    )
  );
}
