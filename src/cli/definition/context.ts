import type { Clock, Exec, FileLock, Files, Http, Log, Network, Random } from '../../core/ports.ts';
import type { ProxySettings } from '../../core/proxy-settings.ts';
import type { Progress } from '../terminal/progress.ts';

/** Standard streams and the terminal, as a subcommand may use them. */
export interface TerminalIo {
  /** The thing that was asked for, and nothing else. Ends with a newline of its own. */
  stdout(text: string): void;
  /** Information for a person. */
  stderr(text: string): void;
  /** Resolves once all of both has left this process. @throws AgentError FILE_ACCESS */
  flush(): Promise<void>;
  readonly stdinIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** All of standard input. @throws AgentError USAGE when it is longer than the limit */
  readStdin(limitBytes: number): Promise<string>;
  /**
   * Asks on /dev/tty without echo. Undefined where there is no terminal: the caller then names
   * the flag that answers the question.
   */
  askSecret(question: string): Promise<string | undefined>;
  /** Asks a yes/no question on /dev/tty; undefined where there is no terminal. */
  confirm(question: string): Promise<boolean | undefined>;
}

/** Everything a subcommand gets. */
export interface CliContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly exec: Exec;
  readonly files: Files;
  readonly http: Http;
  /** The way to the control plane, as the daemon goes it. */
  readonly network: (options: { ca: string | undefined; proxy: ProxySettings }) => Promise<Network>;
  /** Certificates (PEM) of the authorities that are trusted when nothing else is said. */
  readonly authorities: () => Promise<readonly string[]>;
  readonly lock: FileLock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Effective user id. */
  readonly uid: number;
  readonly hostname: string;
  /** Of this machine, as others reach it. */
  readonly addresses: () => readonly string[];
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** Path of the running executable. */
  readonly execPath: string;
  readonly io: TerminalIo;
  /** Aborted at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Shows that something is going on; one at a time. */
  readonly progress: (title: string) => Promise<Progress>;
}
