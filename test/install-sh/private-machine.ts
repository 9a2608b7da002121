/**
 * A mount namespace in which /opt and /usr/local/bin are empty and our own: install.sh writes there
 * for real and this machine never sees it. It lives as long as a `cat` that reads from us, so it
 * vanishes even when the tests are killed.
 */

import { readdir } from 'node:fs/promises';

const SET_UP = `
  set -eu
  mount -t tmpfs -o "mode=0755,size=$1" install-sh-test /opt
  mount -t tmpfs -o mode=0755 install-sh-test /usr/local/bin
  if [ -n "$2" ]; then mount --bind "$2" /proc/cpuinfo; fi
  if [ -n "$3" ]; then
    mount -t tmpfs -o mode=0755 install-sh-test /mnt
    mkdir /mnt/upper /mnt/work
    cp "$3" /mnt/upper/pipeops-agent
    mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/upper,workdir=/mnt/work overlay /usr/bin
  fi
  if [ -d /usr/lib/apt ]; then
    mount -t tmpfs -o mode=0755 install-sh-test /usr/lib/apt
    if [ -n "$4" ]; then install -m 0755 "$4" /usr/lib/apt/apt-helper; fi
  fi
  echo ready
  exec cat
`;

export interface PrivateMachine extends AsyncDisposable {
  /** Starts a program inside, as the leader of its own process group and without a terminal. */
  readonly start: (argv: readonly string[], options: StartOptions) => StartedProgram;
  /** Where a path of the inside is on the outside. */
  readonly outside: (path: string) => string;
  /** Every file, directory and link in /opt and /usr/local/bin, sorted. */
  readonly files: () => Promise<readonly string[]>;
}

export interface StartOptions {
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** A terminal signals the whole group, sudo and systemd the program alone. */
export type SignalTarget = 'program' | 'group';

export interface StartedProgram {
  readonly result: Promise<ProgramResult>;
  /** Sends a signal to the program, or to its children too. */
  readonly signal: (signal: NodeJS.Signals, to: SignalTarget) => void;
}

export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param options.diskSize of /opt, as tmpfs(5) writes it
 * @param options.cpuinfo a file that stands for /proc/cpuinfo inside
 * @param options.packaged a file that is /usr/bin/pipeops-agent inside
 * @param options.aptHelper a file that is apt's helper inside; without it there is none
 */
export async function openPrivateMachine(
  options: {
    readonly diskSize?: string;
    readonly cpuinfo?: string;
    readonly packaged?: string;
    readonly aptHelper?: string;
  } = {},
): Promise<PrivateMachine> {
  const size = options.diskSize ?? '64m';
  const holder = Bun.spawn(
    [
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      SET_UP,
      'sh',
      size,
      options.cpuinfo ?? '',
      options.packaged ?? '',
      options.aptHelper ?? '',
    ],
    { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' },
  );
  const reader = holder.stdout.getReader();
  const { done } = await reader.read();
  if (done) {
    throw new Error(`Cannot make a mount namespace: ${await holder.stderr.text()}`);
  }
  const outside = (path: string) => `/proc/${holder.pid}/root${path}`;
  return {
    start: (argv, startOptions) => startInside(holder.pid, argv, startOptions),
    outside,
    files: async () => {
      const found: string[] = [];
      for (const root of ['/opt', '/usr/local/bin']) {
        const names = await readdir(outside(root), { recursive: true });
        found.push(...names.map((name) => `${root}/${name}`));
      }
      return found.sort();
    },
    [Symbol.asyncDispose]: async () => {
      await holder.stdin.end();
      await holder.exited;
    },
  };
}

function startInside(
  holderPid: number,
  argv: readonly string[],
  options: StartOptions,
): StartedProgram {
  const enter = ['/usr/bin/setsid', '/usr/bin/nsenter', `--mount=/proc/${holderPid}/ns/mnt`];
  const child = Bun.spawn([...enter, ...argv], {
    env: { ...options.env },
    stdin: new TextEncoder().encode(options.stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const texts = Promise.all([child.stdout.text(), child.stderr.text()]);
  return {
    result: texts.then(async ([stdout, stderr]) => ({
      exitCode: await child.exited,
      stdout,
      stderr,
    })),
    signal: (signal, to) => process.kill(to === 'group' ? -child.pid : child.pid, signal),
  };
}
