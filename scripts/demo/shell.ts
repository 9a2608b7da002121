/** A shell on a machine of a demo that keeps running. */
import { runCommand } from '../../test/vm/host-command.ts';
import { initOf } from '../../test/vm/nspawn.ts';
import { waitUntil } from '../../test/vm/wait-until.ts';
import { keptDemo } from './kept-demo.ts';

/** A machine that is rebooted is waited for. */
const UP_TIMEOUT_MS = 60_000;
/** Every system knows this one; a machine may not know the terminal that its user has. */
const COMMON_TERMINAL = 'xterm-256color';
const TERMINFO_DIRECTORIES = ['/lib/terminfo', '/usr/share/terminfo', '/etc/terminfo'];

/**
 * A terminal of the machine's own, which follows the size of this one; with `command`, only that.
 * @returns exit code
 */
export async function openShell(name: string, command: readonly string[]): Promise<number> {
  const demo = await keptDemo();
  if (demo === undefined) {
    return complain('No demo is running. Start one with: ./scripts/demo.sh --keep');
  }
  const group = demo.machines[name];
  if (group === undefined) {
    const names = Object.keys(demo.machines).join(', ');
    return complain(`There is no machine "${name}". There are: ${names}`);
  }
  let init = await initWhenUp(group);
  if (init === undefined) {
    process.stderr.write(`Waiting until ${name} is up …\n`);
    init = await waitUntil(`${name} is up`, UP_TIMEOUT_MS, () => initWhenUp(group)).catch(
      () => undefined,
    );
  }
  if (init === undefined) {
    return complain(`The machine "${name}" is off`);
  }
  const hasTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const terminal = hasTerminal ? (process.env['TERM'] ?? '') : undefined;
  const child = Bun.spawn(await shellArgv(init, terminal, command), {
    stdin: 'inherit',
    stdout: 'inherit',
    stderr: 'inherit',
  });
  // They are for the programs in the shell.
  process.on('SIGINT', () => undefined);
  const exitCode = await child.exited;
  if ((await initWhenUp(group)) !== init) {
    return complain(`The machine "${name}" goes down. After a reboot the same line works again`);
  }
  return exitCode;
}

/** @returns undefined while it starts or goes down, and when it is off */
async function initWhenUp(group: string): Promise<number | undefined> {
  const init = await initOf(group);
  if (init === undefined) {
    return undefined;
  }
  const ask = [...enter(init), 'systemctl', 'is-system-running'];
  const { stdout } = await runCommand(ask, { check: false });
  return /^(running|degraded)$/m.test(stdout) ? init : undefined;
}

function enter(init: number): string[] {
  return ['nsenter', '--all', '--target', String(init), '--'];
}

/**
 * What to spawn on the host.
 * @param init the machine's systemd
 * @param terminal the name of the user's; undefined when there is none
 */
export async function shellArgv(
  init: number,
  terminal: string | undefined,
  command: readonly string[],
): Promise<string[]> {
  return [
    ...[...enter(init), 'env', '--ignore-environment'],
    ...[
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      `TERM=${await knownTerminal(init, terminal ?? 'dumb')}`,
    ],
    // A service has a terminal of the machine, and ends with it.
    ...[
      'systemd-run',
      terminal === undefined ? '--pipe' : '--pty',
      '--quiet',
      '--wait',
      '--collect',
    ],
    ...['--service-type=exec', '--working-directory=/root'],
    ...['--setenv=HOME=/root', '--setenv=USER=root', '--setenv=LANG=C.UTF-8'],
    ...['/bin/bash', '--login'],
    ...(command.length === 0 ? [] : ['-c', 'exec "$@"', 'bash', ...command]),
  ];
}

/** The terminal of this user, where the machine knows it. */
async function knownTerminal(init: number, name: string): Promise<string> {
  for (const directory of TERMINFO_DIRECTORIES) {
    const path = `/proc/${init}/root${directory}/${name.charAt(0)}/${name}`;
    if (/^\w[\w.+-]*$/.test(name) && (await Bun.file(path).exists())) {
      return name;
    }
  }
  return COMMON_TERMINAL;
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`);
  return 1;
}
