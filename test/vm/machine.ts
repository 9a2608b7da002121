/** A test machine: a booted Debian with systemd, a network address and root access. */

import { appendFile, copyFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { destroyGroup } from './cgroups.ts';
import {
  type CommandOptions,
  type CommandResult,
  DEFAULT_TIMEOUT_MS,
  runCommand,
  tail,
} from './host-command.ts';
import { type MachineState, readMachineState } from './machine-state.ts';
import { removeMachineLink } from './network.ts';
import { type Nspawn, type NspawnOptions, startNspawn } from './nspawn.ts';
import { waitUntil } from './wait-until.ts';

const BOOT_TIMEOUT_MS = 60_000;
const POWER_OFF_TIMEOUT_MS = 60_000;

/** Time between SIGTERM and SIGKILL for a program in the machine that takes too long. */
const EXEC_KILL_GRACE_SECONDS = 5;
/** How much longer than the program's own limit the host waits for it. */
const EXEC_HOST_MARGIN_MS = 15_000;
/** What timeout(1) exits with when it had to end the program with SIGTERM or SIGKILL. */
const TIMED_OUT_EXIT_CODES: readonly number[] = [124, 137];

const JOURNAL_LINES = 500;

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  TERM: 'dumb',
  LANG: 'C.UTF-8',
  // k3s starts on cgroup v1 here (base/allow-cgroup-v1.sh), which nothing shows before it is installed.
  PIPEOPS_IGNORE_CHECKS: 'cgroup-version',
  KUBECACHEDIR: '/var/cache/kubectl', // or each kubectl of a test leaves files in /root
};

/** `env` is added to the machine's own (ENVIRONMENT); nothing of ours is inherited. */
export type ExecOptions = Omit<CommandOptions, 'cwd' | 'silenceMs'>;

export interface JournalOptions {
  readonly unit?: string;
  /** The last so many lines. Default 500. */
  readonly lines?: number;
}

export interface Machine {
  readonly name: string;
  /** Its name on the host: see `initOf` (nspawn.ts). */
  readonly group: string;
  /** The host and the lab's other machines reach it there; of IPv6 where it has no other. */
  readonly address: string;
  /** All that it has of its own, IPv4 first. */
  readonly addresses: readonly [string, ...string[]];
  /**
   * Runs a program as root in the machine, in `/`.
   * @throws Error when it takes longer than `timeoutMs` (default 60 000; it is ended, with its
   *   process group) or, unless `check: false`, exits with anything but 0.
   */
  exec(argv: readonly string[], options?: ExecOptions): Promise<CommandResult>;
  /**
   * What to spawn on the host to run `argv` in the machine, for programs that a test talks to or
   * ends while they run. Ending nsenter with SIGKILL does not end the program inside.
   */
  argvOnHost(argv: readonly string[]): Promise<string[]>;
  readFile(path: string): Promise<string>;
  /** @param options.mode octal, default 644; the directories above are made. */
  writeFile(
    path: string,
    data: string | Uint8Array,
    options?: { readonly mode?: number },
  ): Promise<void>;
  /** Copies a file of the host into the machine: for big ones. */
  copyIn(hostPath: string, path: string, options?: { readonly mode?: number }): Promise<void>;
  /**
   * Where a file of the machine is on the host, also when the machine is off. Not for /run, /tmp
   * and small disks, and links are followed on the host: do not use it for links.
   */
  pathOnHost(path: string): string;
  isRunning(): Promise<boolean>;
  /** Boots it after powerOff() or kill(), or after it went down by itself. */
  start(): Promise<void>;
  /** `systemctl reboot`, and waits until the machine is up again. Small disks are empty then. */
  reboot(): Promise<void>;
  /** `systemctl poweroff`, and waits until it is off. */
  powerOff(): Promise<void>;
  /** Settles when it goes down: 133 when it wants to be started again (a reboot), else 0. */
  ended(): Promise<number>;
  /** Takes the power away: every process ends at once. What was written stays. */
  kill(): Promise<void>;
  /** The journal as text, also when the machine is off. */
  journal(options?: JournalOptions): Promise<string>;
  /** What the machine's console showed since its first boot. */
  console(): Promise<string>;
  /** Everything an installation could leave behind; see machine-state.ts. */
  snapshotState(): Promise<MachineState>;
}

export interface MachineParts {
  readonly name: string;
  readonly addresses: Machine['addresses'];
  readonly nspawn: NspawnOptions;
}

/** A machine whose files exist and that has not been booted yet. */
export function createMachine(parts: MachineParts): Machine {
  const { name, nspawn: options } = parts;
  let boot: Nspawn | undefined;

  const requireInit = async () => {
    const pid = await boot?.initPid();
    if (pid === undefined) {
      throw new Error(`Cannot reach into machine '${name}': it is not running`);
    }
    return pid;
  };
  const argvOnHost = async (argv: readonly string[]) => [
    ...['nsenter', '--all', '--target', String(await requireInit()), '--'],
    ...['env', '--ignore-environment'],
    ...Object.entries(ENVIRONMENT).map(([key, value]) => `${key}=${value}`),
    ...argv,
  ];
  const exec = async (argv: readonly string[], execOptions: ExecOptions = {}) =>
    await execInside(name, await requireInit(), argv, execOptions);

  const waitForExit = async () => {
    const code = await exitWithin(boot, POWER_OFF_TIMEOUT_MS);
    boot = undefined;
    if (code === undefined) {
      await destroyGroup(options.group);
      throw new Error(`Machine '${name}' did not go down in ${POWER_OFF_TIMEOUT_MS} ms`);
    }
  };
  const isRunning = async () => (await boot?.initPid()) !== undefined;
  const start = async () => {
    if (await isRunning()) {
      throw new Error(`Cannot start machine '${name}': it is running`);
    }
    await removeMachineLink(options.group);
    boot = await startNspawn(options);
    await waitForBoot(name, boot, options, exec);
  };
  const goDown = async (how: 'reboot' | 'poweroff') => {
    await exec(['systemctl', '--no-block', how]);
    await waitForExit();
  };

  return {
    name,
    group: options.group,
    address: parts.addresses[0],
    addresses: parts.addresses,
    exec,
    argvOnHost,
    pathOnHost: (path) => join(options.root, path),
    readFile: async (path) => (await exec(['cat', path])).stdout,
    async writeFile(path, data, { mode = 0o644 } = {}) {
      // Made with the right mode from the start: tests write secrets, too.
      const script = 'mkdir -p "$(dirname "$1")" && umask 077 && cat > "$1" && chmod "$2" "$1"';
      await exec(['sh', '-c', script, 'sh', path, mode.toString(8)], { stdin: data });
    },
    async copyIn(hostPath, path, { mode = 0o644 } = {}) {
      await exec(['mkdir', '-p', dirname(path)]);
      await copyFile(hostPath, join(options.root, path));
      await exec(['chmod', mode.toString(8), path]);
    },
    isRunning,
    start,
    async reboot() {
      await goDown('reboot');
      await start();
    },
    powerOff: async () => await goDown('poweroff'),
    ended: async () => (await boot?.exited) ?? 0,
    async kill() {
      await destroyGroup(options.group);
      await waitForExit();
    },
    async journal({ unit, lines = JOURNAL_LINES } = {}) {
      const selection = [...(unit === undefined ? [] : ['--unit', unit]), '--lines', String(lines)];
      const journalctl = ['journalctl', '--no-pager', ...selection];
      const { stdout } = (await isRunning())
        ? await exec(journalctl)
        : await runCommand([...journalctl, '--directory', join(options.root, 'var/log/journal')]);
      return stdout;
    },
    console: async () => await readFile(options.consoleFile, 'utf8'),
    snapshotState: async () => await readMachineState(exec),
  };
}

async function execInside(
  name: string,
  init: number,
  argv: readonly string[],
  options: ExecOptions,
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  // Ending nsenter would leave the program running, so the limit is kept inside.
  const limit = ['timeout', `--kill-after=${EXEC_KILL_GRACE_SECONDS}`, String(timeoutMs / 1000)];
  const enter = ['nsenter', '--all', '--target', String(init), '--'];
  const began = performance.now();
  const result = await runCommand([...enter, ...limit, ...argv], {
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    env: { ...ENVIRONMENT, ...options.env },
    ...(options.heard === undefined ? {} : { heard: options.heard }),
    timeoutMs: timeoutMs + EXEC_HOST_MARGIN_MS,
    check: false,
  });
  const said = `'${argv.join(' ')}' in machine '${name}'`;
  if (TIMED_OUT_EXIT_CODES.includes(result.exitCode) && performance.now() - began >= timeoutMs) {
    throw new Error(`${said} was ended after ${timeoutMs} ms\n${tail(result)}`);
  }
  if ((options.check ?? true) && result.exitCode !== 0) {
    throw new Error(`${said} exited with ${result.exitCode}\n${tail(result)}`);
  }
  return result;
}

async function waitForBoot(
  name: string,
  boot: Nspawn,
  options: NspawnOptions,
  exec: Machine['exec'],
): Promise<void> {
  let ended: number | undefined;
  void boot.exited.then((code) => {
    ended = code;
  });
  try {
    await waitUntil(`machine '${name}' has booted`, BOOT_TIMEOUT_MS, async () => {
      if (ended !== undefined) {
        return 'ended' as const;
      }
      const { stdout } = await exec(['systemctl', 'is-system-running'], { check: false });
      return /^(running|degraded)$/m.test(stdout) && ('up' as const);
    });
    if (ended !== undefined) {
      throw new Error(`systemd-nspawn exited with ${ended}`);
    }
  } catch (error) {
    await appendFile(options.consoleFile, '');
    const lines = (await readFile(options.consoleFile, 'utf8')).split('\n').slice(-20).join('\n');
    throw new Error(`Cannot boot machine '${name}'; its console:\n${lines}`, { cause: error });
  }
}

/** @returns the exit code, or undefined when it takes longer. */
async function exitWithin(boot: Nspawn | undefined, limitMs: number): Promise<number | undefined> {
  if (boot === undefined) {
    return 0;
  }
  const { promise: timeUp, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), limitMs);
  const code = await Promise.race([boot.exited, timeUp]);
  clearTimeout(timer);
  return code;
}
