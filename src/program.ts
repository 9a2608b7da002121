/** The whole program in its process: words in, exit code out, with the real streams and signals. */
import { runCli } from './cli/main.ts';
import { systemTerminalIo } from './cli/terminal/io.ts';
import { isPackagedProgram, PACKAGED_PLACES, placesOf } from './core/places.ts';
import { RELEASE_KEYS } from './core/release-keys.ts';
import { systemClock } from './platform/clock.ts';
import { systemFileLock } from './platform/file-lock.ts';
import { systemFiles } from './platform/files.ts';
import { isHangupIgnored } from './platform/hangup.ts';
import { lazyExec } from './platform/lazy-exec.ts';
import { lineLog } from './platform/log.ts';
import { systemHttp } from './platform/network/http.ts';
import { systemRandom } from './platform/random.ts';
import { thisMachine } from './platform/this-machine.ts';

/** Columns assumed where the terminal does not say. */
const COLUMNS_DEFAULT = 80;
/** What is still to be printed has this long when the process must end. */
const LAST_WORDS_MS = 200;
const EXIT_BY_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

type Context = Parameters<typeof runCli>[0];

/**
 * Runs what the words ask for, and ends the process.
 * @param words what the person typed after the program's name
 */
export async function runProgram(env: Context['env'], words: readonly string[]): Promise<never> {
  if (process.geteuid?.() === 0) {
    // Files that root makes here, and those of the programs it runs for that, are read by a daemon
    // that is not root. Secrets get their modes one by one.
    process.umask(0o022);
  }
  const interruption = untilInterrupted();
  const io = systemTerminalIo({ clock: systemClock }, process);
  const exitCode = await runCli(systemContext(env, io, interruption.signal), words);
  await io.flush().catch(() => undefined); // Told already, as far as it could be.
  const by = exitCode === EXIT_BY_SIGNAL.SIGINT ? interruption.by() : undefined;
  process.exit(by === undefined ? exitCode : EXIT_BY_SIGNAL[by]);
}

/**
 * The first signal asks the program to end; a second one of a person ends it, whatever is still going on. A
 * terminal that goes away tells of it several times (the shell, sudo, the kernel), and wants nothing done at once.
 */
function untilInterrupted() {
  const interrupt = new AbortController();
  let by: keyof typeof EXIT_BY_SIGNAL | undefined;
  const end = (signal: keyof typeof EXIT_BY_SIGNAL) => {
    by ??= signal;
    interrupt.abort();
  };
  let isAsked = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isAsked) {
        process.exit(EXIT_BY_SIGNAL[signal]);
      }
      isAsked = true;
      end(signal);
    });
  }
  if (!isHangupIgnored()) {
    process.on('SIGHUP', () => end('SIGHUP'));
  }
  return { signal: interrupt.signal, by: () => by };
}

/** SQLite is loaded by those who copy a database. */
const lazyDatabases: Context['databases'] = {
  copy: async (from, to) => (await databases()).copy(from, to),
  problem: async (path, row) => (await databases()).problem(path, row),
};

async function databases(): Promise<Context['databases']> {
  return (await import('./store/databases.ts')).systemDatabases('/');
}

function systemContext(env: Context['env'], io: Context['io'], signal: AbortSignal): Context {
  return {
    clock: systemClock,
    random: systemRandom,
    exec: lazyExec({ env }),
    files: systemFiles('/'),
    places: isPackagedProgram(process.execPath) ? PACKAGED_PLACES : placesOf(),
    http: systemHttp,
    // Loaded by the subcommands that need it: the others start faster without.
    network: async (options) => (await import('./platform/network/open.ts')).systemNetwork(options),
    probe: async () => (await import('./platform/network/probe.ts')).systemProbe,
    authorities: async () =>
      (await import('./platform/network/authorities.ts')).trustedAuthorities(),
    databases: lazyDatabases,
    objectStore: async (settings) =>
      (await import('./platform/object-store.ts')).systemObjectStore('/', settings),
    askSocket: async (...asked) =>
      (await import('./platform/ask-socket.ts')).systemAskSocket(...asked),
    handedConnection: async () =>
      (await import('./platform/handed-connection.ts')).systemHandedConnection,
    lock: (path, holder) => systemFileLock(path, holder),
    log: lineLog(
      { clock: systemClock },
      { level: () => 'warn', format: 'text', journal: false, write: io.stderr },
    ),
    env,
    uid: process.geteuid?.() ?? 0,
    hostname: thisMachine.hostname(),
    addresses: thisMachine.addresses,
    architecture: process.arch,
    releaseKeys: RELEASE_KEYS,
    execPath: process.execPath,
    msBeforeProgram: async () => (await import('./platform/before-program.ts')).msBeforeProgram(),
    io,
    endProcess: (exitCode) => {
      const told = io.flush().catch(() => undefined);
      void Promise.race([told, systemClock.sleep(LAST_WORDS_MS)]).then(() =>
        process.exit(exitCode),
      );
    },
    signal,
    progress: async (title) => {
      const { startProgress } = await import('./cli/terminal/progress.ts');
      const columns = process.stderr.columns ?? COLUMNS_DEFAULT;
      const options = { isTty: io.stderrIsTty, columns, write: io.stderr };
      return startProgress({ clock: systemClock }, options, title);
    },
  };
}
