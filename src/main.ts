/**
 * argv in, exit code out. The only place that knows the process: its streams, signals, environment
 * and end.
 */
import { runCli } from './cli/main.ts';
import { systemTerminalIo } from './cli/terminal/io.ts';
import { systemClock } from './platform/clock.ts';
import { systemFileLock } from './platform/file-lock.ts';
import { systemFiles } from './platform/files.ts';
import { lazyExec } from './platform/lazy-exec.ts';
import { lineLog } from './platform/log.ts';
import { systemHttp } from './platform/network/http.ts';
import { ownEnvironment } from './platform/own-environment.ts';
import { systemRandom } from './platform/random.ts';
import { thisMachine } from './platform/this-machine.ts';

/** Columns assumed where the terminal does not say. */
const COLUMNS_DEFAULT = 80;

/** Where the files of a compiled executable seem to be. */
const COMPILED_ROOT = '/$bunfs/';

const env = ownEnvironment(process, Bun.main.startsWith(COMPILED_ROOT) ? undefined : Bun.main);

if (process.geteuid?.() === 0) {
  // Files that root makes here, and those of the programs it runs for that, are read by a daemon
  // that is not root. Secrets get their modes one by one.
  process.umask(0o022);
}

const interrupt = new AbortController();
let interruptedBy: 'SIGINT' | 'SIGTERM' | undefined;
const EXIT_BY_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interruptedBy !== undefined) {
      // Asked twice: end now, whatever is still going on.
      process.exit(EXIT_BY_SIGNAL[signal]);
    }
    interruptedBy = signal;
    interrupt.abort();
  });
}

const io = systemTerminalIo({ clock: systemClock }, process);
const exitCode = await runCli(
  {
    clock: systemClock,
    random: systemRandom,
    exec: lazyExec({ env }),
    files: systemFiles('/'),
    http: systemHttp,
    // Loaded by the subcommands that need it: the others start faster without.
    network: async (options) => (await import('./platform/network/open.ts')).systemNetwork(options),
    authorities: async () =>
      (await import('./platform/network/authorities.ts')).trustedAuthorities(),
    lock: (path, holder) => systemFileLock(path, holder),
    log: lineLog(
      { clock: systemClock },
      { level: 'warn', format: 'text', journal: false, write: io.stderr },
    ),
    env,
    uid: process.geteuid?.() ?? 0,
    hostname: thisMachine.hostname(),
    addresses: thisMachine.addresses,
    architecture: process.arch,
    execPath: process.execPath,
    io,
    signal: interrupt.signal,
    progress: async (title) => {
      const { startProgress } = await import('./cli/terminal/progress.ts');
      const columns = process.stderr.columns ?? COLUMNS_DEFAULT;
      const options = { isTty: io.stderrIsTty, columns, write: io.stderr };
      return startProgress({ clock: systemClock }, options, title);
    },
  },
  process.argv.slice(2),
);
await io.flush().catch(() => undefined); // Told already, as far as it could be.
const interrupted = exitCode === EXIT_BY_SIGNAL.SIGINT && interruptedBy === 'SIGTERM';
process.exit(interrupted ? EXIT_BY_SIGNAL.SIGTERM : exitCode);
