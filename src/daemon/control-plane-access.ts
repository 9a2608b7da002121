/**
 * How the session reaches the control plane and is let in: the values kept in files, which may be
 * replaced while the daemon runs.
 */
import { readCaFile } from '../control-plane/credentials/ca-file.ts';
import { msUntilBeat } from '../core/beat.ts';
import { toAgentError } from '../core/errors.ts';
import { oneAtATime } from '../core/one-at-a-time.ts';
import type { Clock, Files, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';

/** How soon a replaced file is taken up when nobody asks for it, ms. */
const ACCESS_RELOAD_MS = 2_000;
/** Longest control-plane token, bytes. */
const TOKEN_LIMIT_BYTES = 16 * 1024;
/** Longest `user:password` of a proxy, bytes. */
const PROXY_CREDENTIALS_LIMIT_BYTES = 1024;

export interface ControlPlaneAccess {
  /** Undefined: no control plane is wanted, the machine is standalone. */
  readonly token: string | undefined;
  /** Certificates (PEM) to trust instead of the public ones. */
  readonly ca: string | undefined;
  /** Why the CA file cannot be used, while it cannot: then nobody is trusted. */
  readonly caProblem: string | undefined;
  /** `user:password`, or ''. */
  readonly proxyCredentials: string;
}

export interface AccessPaths {
  readonly token: string;
  readonly ca: string | undefined;
  readonly proxyCredentials: string;
}

export interface LiveAccess extends Service {
  current(): ControlPlaneAccess;
  /** Reads the files as they are when this is called, or later. Resolves when they are in force. */
  reload(): Promise<void>;
  /** Makes everything that uses the access begin anew, although the access is the same. */
  restart(): void;
  /**
   * Calls back, within the change itself, when the access has changed or shall be tried anew.
   * @returns how to stop the calls
   */
  onChange(listener: () => void): () => void;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Log;
}

/** @throws AgentError FILE_ACCESS where a file exists but cannot be read */
export async function liveAccess(deps: Deps, paths: AccessPaths): Promise<LiveAccess> {
  let current = await read(deps.files, paths);
  let trouble: string | undefined;
  const listeners = new Set<() => void>();
  const restart = () => {
    for (const listener of [...listeners]) {
      listener();
    }
  };
  const reload = oneAtATime(async () => {
    try {
      const next = await read(deps.files, paths);
      trouble = undefined;
      if (!Bun.deepEquals(next, current)) {
        current = next;
        deps.log.info('the way to the control plane has changed', {
          standalone: next.token === undefined,
        });
        restart();
      }
    } catch (thrown) {
      // The last good access stays in force, and the next look may succeed.
      const { code, message } = toAgentError(thrown);
      if (trouble !== message) {
        trouble = message;
        deps.log.error('a file of the session cannot be read', {
          error_code: code,
          error: message,
        });
      }
    }
  });
  return {
    name: 'control-plane-access',
    current: () => current,
    reload,
    restart,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: async (signal) => ({ done: repeat(deps.clock, reload, signal) }),
  };
}

async function repeat(clock: Clock, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (await clock.sleep(msUntilBeat(clock, ACCESS_RELOAD_MS), signal)) {
    await work();
  }
}

async function read(files: Files, paths: AccessPaths): Promise<ControlPlaneAccess> {
  const [token, kept, ca] = await Promise.all([
    files.readText(paths.token, TOKEN_LIMIT_BYTES),
    files.readText(paths.proxyCredentials, PROXY_CREDENTIALS_LIMIT_BYTES),
    paths.ca === undefined ? undefined : readCaFile(files, paths.ca),
  ]);
  return {
    token: token?.trim() || undefined,
    ca: ca !== undefined && 'pem' in ca ? ca.pem : undefined,
    caProblem: ca !== undefined && 'problem' in ca ? ca.problem : undefined,
    proxyCredentials: kept?.trim() ?? '',
  };
}
