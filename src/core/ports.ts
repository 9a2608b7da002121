/**
 * What the program needs from the world, as interfaces. `src/platform/` has the real ones,
 * tests bring their own. Every function takes just the ports that it names.
 */
import type { NetworkTrouble } from './network-trouble.ts';

/** Time. Durations come from `monotonic`, dates for people and wires from `now`. */
export interface Clock {
  /** The wall clock. May jump; never subtract two of these. */
  now(): Date;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /**
   * Waits `ms` milliseconds or until the signal aborts.
   * @returns true when the whole time has passed, false when it was cut short.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<boolean>;
}

/** What the system says of the machine, as it is now. */
export interface ThisMachine {
  hostname(): string;
  /** Where others reach it, IPv4 and IPv6. */
  addresses(): readonly string[];
  processors(): number;
  memoryBytes(): number;
}

/**
 * Runs work after everything that is due in this turn of the event loop, and before the loop waits
 * again. Used to join what comes together.
 */
export type RunSoon = (work: () => void) => void;

/** What runs the program. */
export interface Runtime {
  /** Processor time of the whole process so far, milliseconds. */
  cpuMs(): number;
  /** Ends the executable's initial delay in compiling code that runs often. */
  compileEagerly(): void;
  /**
   * Releases the pages of the program's own code; the system maps those again that run. Cheap, and
   * always safe.
   */
  releaseCode(): void;
}

/** What the process does and holds, for people who look for a cause. */
export interface Profiler {
  /**
   * Begins to note which code runs, until the returned function is called; one at a time.
   * @returns what gives the profile, as the Chrome DevTools Protocol has it
   */
  startCpuProfile(): Promise<() => Promise<CpuProfile>>;
  heapBytes(): number;
  /** All that the heap holds, as V8 writes it (JSON). Nothing else runs meanwhile. */
  heapSnapshot(): Uint8Array;
  /** Samples which code runs, from now on; not while there is a profile. */
  watchStacks(): void;
  /** The samples since the last call, the newest last. */
  takeStacks(): readonly StackSample[];
}

/** Profiler.Profile of the Chrome DevTools Protocol; times in microseconds. */
export interface CpuProfile {
  readonly nodes: ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples: number[];
  readonly timeDeltas: number[];
}

/** One function, as it was called by those above it. */
interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly scriptId: string;
    readonly url: string;
    /** From 0. */
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  readonly hitCount: number;
  /** Ids of nodes. */
  readonly children: number[];
}

export interface StackSample {
  /** Of a clock of its own. */
  readonly atMs: number;
  /** Functions, the one that ran first. */
  readonly frames: readonly string[];
}

/** What this process uses, as of now. */
export interface ProcessUsage {
  /** Unix time, ms. */
  readonly startedAtMs: number;
  /** Processor time of all threads. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** Anonymous memory, which no other process and no file has. */
  readonly privateBytes: number;
  readonly heapBytes: number;
  readonly openFiles: number;
  /** Collections of garbage since the start. */
  readonly collections: number;
}

export interface Random {
  /** A number in [0, 1), for jitter; not for secrets. */
  fraction(): number;
  /** Cryptographically strong random bytes, for ids and secrets. */
  bytes(length: number): Uint8Array;
}

export interface ExecOptions {
  /** How long the program and all its descendants may run before they are ended. */
  readonly timeoutMs: number;
  /** The whole environment of the child; nothing is inherited but PATH, HOME and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes for its standard input: the way to hand a secret over. */
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  /** Called with each line of output as it comes (both streams); the next one waits for it. */
  readonly onLine?: (line: string) => unknown;
  /** false: output goes to `onLine` alone, so that it may have any length. */
  readonly keepsOutput?: false;
}

export interface ExecResult {
  readonly exitCode: number;
  /** At most `EXEC_OUTPUT_LIMIT_BYTES` (platform/exec.ts) of each stream; trailing newline cut. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface Exec {
  /**
   * Runs a program and waits for it. argv[0] is looked up in PATH; never a shell string.
   * A non-zero exit is a result, not an error.
   * @throws AgentError TOOL_MISSING, TIMEOUT, INTERRUPTED (by the signal), TOOL_FAILED (killed)
   */
  run(argv: readonly [string, ...string[]], options: ExecOptions): Promise<ExecResult>;
}

export interface FileWriteOptions {
  /** Permission bits, e.g. 0o640; the umask does not touch them. */
  readonly mode: number;
  /** Owner by name, as `user:group`; left as it is when absent. */
  readonly owner?: string;
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'link' | 'socket' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Its number on its file system. */
  readonly inode: number;
}

/** A large file that is read piece by piece. */
export interface OpenFile {
  /** When it was opened. */
  readonly sizeBytes: number;
  /** At most so many bytes from there on; fewer at its end, none behind it. */
  read(offset: number, lengthBytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A large file that is written piece by piece. */
export interface GrowingFile {
  append(bytes: Uint8Array): Promise<void>;
  /** Closes it, and with `sync` only after all of it is on the disk. */
  close(options?: { readonly sync: boolean }): Promise<void>;
}

/**
 * Files below a root: `/` in production, a temporary directory in tests. All paths are absolute as
 * the machine sees them. Reading a file that does not exist gives `undefined`; every other failure
 * throws (DISK_FULL when the disk is full, FILE_ACCESS otherwise).
 */
export interface Files {
  /** @param limitBytes refuse (FILE_ACCESS) a longer file; 1 MiB when absent */
  readText(path: string, limitBytes?: number): Promise<string | undefined>;
  /** The same for what may be no text. */
  readBytes(path: string, limitBytes?: number): Promise<Uint8Array | undefined>;
  /** A regular file; a link is followed. @throws AgentError FILE_ACCESS where something else stands there */
  openFile(path: string): Promise<OpenFile | undefined>;
  /**
   * Opens a file to append to, and makes it where it is missing. It never follows a link.
   * @param keeps whether what is in it stays
   */
  growFile(
    path: string,
    options: { readonly mode: number; readonly keeps: boolean },
  ): Promise<GrowingFile>;
  /** Within one file system, in one step; what stood there is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** Whole lines at its beginning, at most so long; the rest is not read. */
  readStart(path: string, lengthBytes: number): Promise<string | undefined>;
  /** Writes a temporary file beside it, sets mode and owner, syncs, renames over. */
  writeAtomic(path: string, data: string | Uint8Array, options: FileWriteOptions): Promise<void>;
  /**
   * Creates the directory with mode and owner, and its parents with 0755, whatever the umask. A
   * directory that exists stays as it is: it belongs to somebody else.
   */
  makeDirectory(path: string, options: FileWriteOptions): Promise<void>;
  /** The same for a directory of our own: mode and owner are set even if it exists. */
  claimDirectory(path: string, options: FileWriteOptions): Promise<void>;
  /** Does not follow a link. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names in a directory, sorted; empty when there is none. */
  list(path: string): Promise<readonly string[]>;
  readLink(path: string): Promise<string | undefined>;
  /** Points a symbolic link at `target`, replacing another link in one step. */
  link(target: string, path: string): Promise<void>;
  changeMode(path: string, mode: number): Promise<void>;
  /** Removes a file or a link. Returns whether there was one. */
  remove(path: string): Promise<boolean>;
  /** Removes a directory and everything in it, following no link. Returns whether it was there. */
  removeTree(path: string): Promise<boolean>;
  /**
   * Removes a directory in which nothing is, in one step: what somebody puts into it meanwhile is never
   * lost. Returns whether it went; one that is in use, a mount for example, stays.
   */
  removeEmptyDirectory(path: string): Promise<boolean>;
  /** Of the file system that holds the path (or its nearest parent). */
  diskSpace(path: string): Promise<DiskSpace>;
}

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeInodes: number;
  /** 0 where it makes them as they are needed. */
  readonly totalInodes: number;
}

/**
 * Takes a lock that ends with this process.
 * @param holder what others are told: `install (pid 812)`
 * @returns how to release it, or who holds it
 */
export type FileLock = (
  path: string,
  holder: string,
) => { readonly release: () => void } | { readonly heldBy: string };

/** TLS trust of a request: Bun's `fetch` takes it as `tls`. */
export interface TlsOptions {
  readonly ca?: string | readonly string[];
  readonly cert?: string;
  readonly key?: string;
  /**
   * false: accepts any certificate. Only where the peer is checked in another way and no secret is
   * sent.
   */
  readonly rejectUnauthorized?: false;
}

export type HttpRequestInit = RequestInit & {
  readonly tls?: TlsOptions;
  readonly unix?: string;
  /** false: no idle cut, for long streams. */
  readonly timeout?: boolean;
  readonly proxy?: string;
};

/** The signature of `fetch`, narrowed to what is used. */
export type Http = (url: string, init?: HttpRequestInit) => Promise<Response>;

/**
 * When the certificate of a TLS server ends. Nothing else of it is looked at, and nothing is sent.
 * @throws Error when the server cannot be reached, or at the signal
 */
export type ReadCertificateEnd = (
  address: { readonly hostname: string; readonly port: number },
  signal: AbortSignal,
) => Promise<Date>;

/** How a WebSocket is dialled. */
export interface WebSocketDialOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** A larger message closes the connection with 1009. */
  readonly messageLimitBytes: number;
  /** Subprotocols offered, the preferred one first. */
  readonly protocols?: readonly string[];
}

/** Why a WebSocket is gone, or never came to be. */
export interface WebSocketEnd {
  /** Close code (RFC 6455 section 7.4.1); 1006 without a close frame. */
  readonly code: number;
  readonly reason: string;
  /** What the server answered instead of 101. */
  readonly rejection?: {
    readonly status: number;
    readonly retryAfter: string | undefined;
    /** Set when the server sent a page for people: its sender, as part of a sentence. */
    readonly pageBy?: string | undefined;
  };
  /**
   * There was no connection at all: no address, no route, no listener, no TLS, or no way past the
   * proxy.
   */
  readonly unreachable?: NetworkTrouble;
}

/**
 * Does one piece of work in its own thread, which begins and ends with the work.
 * @param module file below src without its ending, an entry point of `scripts/build.ts`: it answers
 *   one message with another one
 * @throws AgentError INTERRUPTED at the signal, INTERNAL when the thread fails
 */
export type WorkElsewhere = <Answer>(
  module: string,
  request: unknown,
  signal: AbortSignal,
) => Promise<Answer>;

/** Called by a WebSocket; never before `dial` has returned. */
export interface WebSocketHandlers {
  /** @param protocol the subprotocol that the server chose; '' for none */
  opened(protocol?: string): void;
  /** Copy the bytes to keep them: their memory is used again. */
  message(data: string | Uint8Array): void;
  /** A ping or pong frame came. @param mark of a pong: what it carried */
  heard(mark?: string): void;
  /** More of a message came, but not yet its end. */
  part?(): void;
  /** Called once, and last; also for a dial that failed. */
  closed(end: WebSocketEnd): void;
}

export interface WebSocketConnection {
  send(text: string): void;
  /** One message of all parts, which may be reused after it returned. */
  sendBinary(parts: readonly Uint8Array[]): void;
  /** @param mark what its pong carries */
  ping(mark?: string): void;
  close(code: number, reason: string): void;
  /** Drops the connection at once, without a close frame. */
  terminate(): void;
  /**
   * Reads nothing more from the network until `resume`; what was already read is still delivered.
   */
  pause(): void;
  resume(): void;
  /** Bytes that are sent but have not left this process. */
  bufferedBytes(): number;
}

export type WebSocketDial = (
  url: string,
  options: WebSocketDialOptions,
  handlers: WebSocketHandlers,
) => WebSocketConnection;

/** The way to one control plane: its proxy, its trust, its pool of sockets. */
export interface Network {
  readonly http: Http;
  readonly dial: WebSocketDial;
  /** Ends every connection made here. */
  close(): void;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogValue = string | number | boolean | null | undefined;
export type LogFields = Readonly<Record<string, LogValue>>;

/**
 * One line per event: a constant message, everything that varies in fields (`command_id`,
 * `duration_ms`, `error_code`). error = a person should look; warn = will be retried or is
 * degraded; info = a state changed; debug = the rest. Secrets are redacted by the real one.
 */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** The same log with fields that every line carries. */
  with(fields: LogFields): Log;
}

/** Shows a person that something is going on; one at a time. */
export type StartProgress = (title: string) => Promise<Progress>;

/** A line of work that takes its time. Call `done` or `fail` once. */
export interface Progress {
  /** What it does right now. */
  update(text: string): void;
  done(text?: string): void;
  fail(text?: string): void;
}

/** An object in a store. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** When it was stored. */
  readonly modified: Date;
}

/** A bucket of a store that speaks S3. Every call may take as long as its network. */
export interface ObjectStore {
  /** Stores a file as it is read, piece by piece. @throws AgentError STORAGE_UNREACHABLE, FILE_ACCESS */
  put(key: string, path: string): Promise<void>;
  /**
   * Writes an object into a new file, 0600; what stands there after an error is of no use.
   * @param limitBytes a longer one is refused as soon as that is known
   * @throws AgentError STORAGE_UNREACHABLE, DISK_FULL, FILE_ACCESS
   */
  get(key: string, path: string, limitBytes: number): Promise<void>;
  /** At most `STORED_OBJECTS_MAX` (platform/object-store.ts). @throws AgentError STORAGE_UNREACHABLE */
  list(prefix: string): Promise<readonly StoredObject[]>;
  /** @throws AgentError STORAGE_UNREACHABLE */
  remove(key: string): Promise<void>;
}

export interface ObjectStoreSettings {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Databases (SQLite) of other programs, which may write to them meanwhile. */
export interface Databases {
  /**
   * Writes a consistent copy into a new file.
   * @throws AgentError FILE_ACCESS, DISK_FULL
   */
  copy(from: string, to: string): Promise<void>;
  /**
   * What is wrong with a file that nobody else uses; undefined where nothing is.
   * @param row that must be there: in table `kine`, the newest of that `name`
   */
  problem(path: string, row: string): Promise<string | undefined>;
}

/** Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED). */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

/** The connection that the service manager has handed to this process (systemd.socket(5), Accept=yes). */
export interface HandedConnection {
  /** Undefined where standard input is no Unix socket. */
  peer(): Peer | undefined;
  /**
   * The first line, without its end; undefined where the other side ends or waits before that.
   * @throws AgentError USAGE when it is longer than the limit
   */
  readLine(limits: { readonly bytes: number; readonly ms: number }): Promise<string | undefined>;
  /** What the other side no longer reads is lost. */
  write(text: string): Promise<void>;
}

/**
 * Listening sockets that outlive this process: while it is started anew, the service manager has them, and
 * who connects meanwhile waits in their queues.
 */
export interface KeptSockets {
  /** The descriptor of one that the process before has left, once; undefined where there is none. */
  take(name: string): number | undefined;
  /** Closes one that was taken and cannot be used. */
  drop(descriptor: number): void;
  /** Leaves one to the next process. It is kept though this process closes it. @param name without ":" */
  keep(name: string, descriptor: number): void;
  /** One that was taken is not needed by the next process. */
  forget(name: string): void;
  /** Closes those that nobody has taken: who waits there would wait in vain. */
  closeRest(): void;
}

/**
 * Sends one line to a Unix socket and gives each line of the answer, until the other side closes.
 * @param limits bytes of the whole answer
 * @throws AgentError HELPER_UNREACHABLE where nobody listens; INTERRUPTED at the signal
 */
export type AskSocket = (
  path: string,
  line: string,
  options: {
    readonly limitBytes: number;
    readonly signal: AbortSignal;
    readonly onLine: (line: string) => void;
  },
) => Promise<void>;
