/**
 * Every failure a person or the control plane can see. The code is a promise: it crosses the
 * wire, heads a page of docs/TROUBLESHOOTING.md and decides the exit code.
 */

import { systemCode, systemWords } from './text/system-words.ts';

interface ErrorTraits {
  /** Exit code of the process that fails with it (docs/ARCHITECTURE.md, "Exit codes"). */
  readonly exit: number;
  /** Whether trying again without changing anything can help. */
  readonly retryable: boolean;
}

const ERROR_TABLE = {
  INTERNAL: { exit: 1, retryable: false },
  USAGE: { exit: 2, retryable: false },
  UNKNOWN_FLAG: { exit: 2, retryable: false },
  UNKNOWN_SUBCOMMAND: { exit: 2, retryable: false },
  TOKEN_INVALID: { exit: 2, retryable: false },
  JOIN_TOKEN_INVALID: { exit: 2, retryable: false },
  CONFIG_INVALID: { exit: 3, retryable: false },
  POLICY_INVALID: { exit: 3, retryable: false },
  NOT_ROOT: { exit: 4, retryable: false },
  HOST_UNSUPPORTED: { exit: 4, retryable: false },
  PORT_IN_USE: { exit: 4, retryable: false },
  CLUSTER_EXISTS: { exit: 4, retryable: false },
  SETTING_FIXED: { exit: 4, retryable: false },
  NOT_INSTALLED: { exit: 4, retryable: false },
  INSTALLED_OTHERWISE: { exit: 4, retryable: false },
  NOT_A_SERVER: { exit: 4, retryable: false },
  BUSY: { exit: 4, retryable: true },
  DISK_FULL: { exit: 4, retryable: false },
  FILE_ACCESS: { exit: 4, retryable: false },
  TOKEN_REJECTED: { exit: 5, retryable: false },
  AGENT_REVOKED: { exit: 5, retryable: false },
  JOIN_TOKEN_EXPIRED: { exit: 5, retryable: false },
  JOIN_TOKEN_REJECTED: { exit: 5, retryable: false },
  JOIN_TOKEN_MISUSED: { exit: 5, retryable: false },
  NODE_NAME_TAKEN: { exit: 5, retryable: false },
  MACHINE_ID_TAKEN: { exit: 5, retryable: false },
  APPROVAL_NEEDED: { exit: 5, retryable: true },
  UPGRADE_HELD: { exit: 5, retryable: false },
  OUTSIDE_WINDOW: { exit: 5, retryable: true },
  POLICY_DENIED: { exit: 5, retryable: false },
  CONTROL_PLANE_UNREACHABLE: { exit: 6, retryable: true },
  CONTROL_PLANE_ERROR: { exit: 6, retryable: true },
  SERVER_UNREACHABLE: { exit: 6, retryable: true },
  DAEMON_UNREACHABLE: { exit: 6, retryable: true },
  HELPER_UNREACHABLE: { exit: 6, retryable: true },
  DOWNLOAD_FAILED: { exit: 6, retryable: true },
  DOWNLOAD_CORRUPT: { exit: 6, retryable: true },
  BUNDLE_INVALID: { exit: 6, retryable: false },
  RELEASE_UNTRUSTED: { exit: 6, retryable: false },
  RELEASE_EXPIRED: { exit: 6, retryable: false },
  RELEASE_REFUSED: { exit: 6, retryable: false },
  SNAPSHOT_INVALID: { exit: 6, retryable: false },
  STORAGE_UNREACHABLE: { exit: 6, retryable: true },
  VERSION_REFUSED: { exit: 4, retryable: false },
  UPGRADE_FAILED: { exit: 7, retryable: false },
  TOOL_MISSING: { exit: 7, retryable: false },
  TOOL_FAILED: { exit: 7, retryable: false },
  K3S_INSTALL_FAILED: { exit: 7, retryable: true },
  K3S_NOT_READY: { exit: 7, retryable: true },
  NODE_NOT_READY: { exit: 7, retryable: true },
  SYSTEM_NOT_READY: { exit: 7, retryable: true },
  KUBERNETES_API: { exit: 8, retryable: true },
  MEMORY_UNREACHABLE: { exit: 8, retryable: true },
  SERVERS_NOT_READY: { exit: 8, retryable: true },
  APPLICATION_UNREACHABLE: { exit: 6, retryable: true },
  TIMEOUT: { exit: 9, retryable: true },
  STORE_CORRUPT: { exit: 10, retryable: false },
  STATE_NEWER: { exit: 10, retryable: false },
  CHECK_FAILED: { exit: 11, retryable: false },
  INTERRUPTED: { exit: 130, retryable: true },
  COMMAND_INVALID: { exit: 2, retryable: false },
  COMMAND_UNSUPPORTED: { exit: 2, retryable: false },
  COMMAND_OUTCOME_UNKNOWN: { exit: 1, retryable: false },
  COMMAND_CANCELLED: { exit: 130, retryable: false },
  PROXY_REQUEST_INVALID: { exit: 2, retryable: false },
  PROXY_HEAD_TOO_LARGE: { exit: 2, retryable: false },
  SHUTTING_DOWN: { exit: 6, retryable: true },
  TOO_MANY_REQUESTS: { exit: 6, retryable: true },
  APPLY_FAILED: { exit: 8, retryable: false },
  ROLLOUT_FAILED: { exit: 8, retryable: false },
  NOT_FOUND: { exit: 8, retryable: false },
  NOT_RUNNING: { exit: 8, retryable: true },
  EXEC_FAILED: { exit: 8, retryable: false },
  DRAIN_INCOMPLETE: { exit: 8, retryable: true },
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export const ERROR_CODES: readonly ErrorCode[] = Object.keys(ERROR_TABLE) as ErrorCode[];

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, code);
}

/** The reader can do nothing about these: they are a bug, or what the reader asked for. */
type HintlessCode = 'INTERNAL' | 'INTERRUPTED' | 'COMMAND_CANCELLED';

export interface AgentErrorOptions {
  /** What the reader can do about it, as a sentence. */
  readonly hint: string;
  readonly cause?: unknown;
  /** Facts for machines (`--json`, results); never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

const BUG_HINT = 'This is a bug in pipeops-agent. Please report it with the log lines around it';

/** The one error class. Decide by `code`, never by the text. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  /** Every error has a hint, except those that nobody can do anything about. */
  constructor(code: HintlessCode, message: string, options?: Partial<AgentErrorOptions>);
  constructor(code: ErrorCode, message: string, options: AgentErrorOptions);
  constructor(code: ErrorCode, message: string, options: Partial<AgentErrorOptions> = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? (code === 'INTERNAL' ? BUG_HINT : undefined);
    this.details = options.details;
  }

  get exitCode(): number {
    return ERROR_TABLE[this.code].exit;
  }

  get retryable(): boolean {
    return ERROR_TABLE[this.code].retryable;
  }
}

/** Turns anything thrown into an AgentError; what is not one is a bug: INTERNAL. */
export function toAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) {
    return thrown;
  }
  const code = systemCode(thrown);
  const message = code === undefined ? messageOf(thrown) : `${systemWords(code)} (${code})`;
  return new AgentError('INTERNAL', message, { cause: thrown });
}

/** Returns a failure that could be expected. A bug is thrown on, because nobody can handle it. */
export function expectedError(thrown: unknown): AgentError {
  const error = toAgentError(thrown);
  if (error.code === 'INTERNAL') {
    throw thrown;
  }
  return error;
}

/**
 * The unchanged text of anything thrown: for a bug, or for an error of a parser that says where the
 * mistake is. For failures of the system or the network use `troubleOf`.
 */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Makes the compiler check that a switch on a union is complete. */
export function assertNever(value: never): never {
  throw new AgentError('INTERNAL', `Unexpected value ${JSON.stringify(value)}`);
}
