/**
 * A CliContext over the real thing where that runs here: real files, real HTTP, the real clock.
 * Programs answer as a test says, and only those. A whole installation: simulated-machine.ts.
 */
import type { CliContext } from '../../src/cli/definition/context.ts';
import { runCli } from '../../src/cli/main.ts';
import { AgentError } from '../../src/core/errors.ts';
import { placesOf } from '../../src/core/places.ts';
import type { Clock, Exec, ExecResult, Files, Http } from '../../src/core/ports.ts';
import type { Probe } from '../../src/core/probe.ts';
import { NO_RELEASE_KEYS } from '../../src/core/release-keys.ts';
import { systemAskSocket } from '../../src/platform/ask-socket.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { systemNetwork } from '../../src/platform/network/open.ts';
import { systemObjectStore } from '../../src/platform/object-store.ts';
import { systemDatabases } from '../../src/store/databases.ts';
import { capturedTerminal } from './captured-terminal.ts';
import { ROOMY_DISK } from './machine-tree.ts';
import { memoryLog } from './memory-log.ts';
import { checkPromisedJson } from './promised-json.ts';
import { QUIET_PROBE } from './quiet-probe.ts';
import { seededRandom } from './seeded-random.ts';

/** Of the machine, as others reach it. */
const MACHINE_ADDRESSES = ['10.0.0.1', 'fd00::1', 'fe80::1'];

/** What a program answers; what is left out is exit code 0 and no output. */
export type ScriptedAnswer = Partial<ExecResult> | (() => Partial<ExecResult>);

export interface CliContextOptions {
  /** Where the machine's `/` is. */
  readonly root: string;
  /** Answers by the whole line; a program that is not named is missing. */
  readonly programs?: Readonly<Record<string, ScriptedAnswer>>;
  /** Runs programs in another way. */
  readonly exec?: Exec;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly clock?: Clock;
  readonly http?: Http;
  readonly signal?: AbortSignal;
  /** Looks at the network; one in which all is well when absent. */
  readonly probe?: Probe;
  /** What a person types; undefined where there is no terminal. */
  readonly secret?: string;
  /** Of the terminal that standard output is. */
  readonly columns?: number;
  /** Who holds the lock of the subcommands that change the machine. */
  readonly lockHeldBy?: string;
}

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestCli {
  /** Runs one subcommand. What was printed before is not repeated. */
  run(...words: readonly string[]): Promise<CliRun>;
  /** Every program that was started, as one line. */
  readonly started: readonly string[];
  /** `lock` and `release`, in the order they happened. */
  readonly lockEvents: readonly string[];
}

/** Of started programs those that may change something: the checks of the network only look. */
export function maybeChanging(started: readonly string[]): readonly string[] {
  return started.filter(
    (line) =>
      !/^(ip -json|ufw status|firewall-cmd --(list-all-zones|get-default-zone)|nft --json list)/.test(
        line,
      ),
  );
}

/** A command line for tests: `cliContext({ root }).run('version', '--json')`. */
export function cliContext(options: CliContextOptions): TestCli {
  const started: string[] = [];
  const lockEvents: string[] = [];
  const clock = options.clock ?? systemClock;
  return {
    started,
    lockEvents,
    run: async (...words) => {
      const { out, io, progress } = capturedTerminal({ clock }, options);
      const context: CliContext = {
        clock,
        random: seededRandom(1),
        exec: options.exec ?? scriptedExec(options.programs ?? {}, started),
        files: roomyFiles(options.root),
        places: placesOf(),
        http: options.http ?? systemHttp,
        network: async (settings) =>
          options.http === undefined
            ? systemNetwork(settings)
            : { ...systemNetwork(settings), http: options.http },
        probe: async () => options.probe ?? QUIET_PROBE,
        authorities: async () => [],
        askSocket: systemAskSocket,
        objectStore: async (settings) => systemObjectStore(options.root, settings),
        databases: systemDatabases(options.root),
        handedConnection: async () => {
          throw new Error('nobody has connected');
        },
        lock: () => {
          if (options.lockHeldBy !== undefined) {
            return { heldBy: options.lockHeldBy };
          }
          lockEvents.push('lock');
          return { release: () => void lockEvents.push('release') };
        },
        log: memoryLog(),
        env: options.env ?? {},
        uid: options.uid ?? 0,
        hostname: 'node-1',
        addresses: () => MACHINE_ADDRESSES,
        architecture: 'x64',
        releaseKeys: NO_RELEASE_KEYS,
        execPath: '/root/pipeops-agent',
        msBeforeProgram: async () => 0,
        io,
        endProcess: (exitCode) => {
          throw new Error(`the process must end: ${exitCode}`);
        },
        signal: options.signal ?? new AbortController().signal,
        progress,
      };
      const exitCode = await runCli(context, words);
      checkPromisedJson(words, out.stdout);
      return { exitCode, ...out };
    },
  };
}

/** A test may run on a small disk; the check of the disk has tests of its own. */
function roomyFiles(root: string): Files {
  return {
    ...systemFiles(root),
    diskSpace: async () => ROOMY_DISK,
  };
}

function scriptedExec(programs: Readonly<Record<string, ScriptedAnswer>>, started: string[]): Exec {
  return {
    run: async (argv) => {
      const line = argv.join(' ');
      started.push(line);
      const answer = programs[line];
      if (answer === undefined) {
        throw new AgentError('TOOL_MISSING', `Cannot run "${argv[0]}": it is not on this machine`, {
          hint: 'Look',
        });
      }
      return {
        exitCode: 0,
        stdout: '',
        stderr: '',
        ...(typeof answer === 'function' ? answer() : answer),
      };
    },
  };
}
