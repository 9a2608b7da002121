/** The local control plane as a process of its own, which can be killed and started again. */
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '../../..');
const ADMIN_TIMEOUT_MS = 5_000;

export interface ControlPlaneOptions {
  readonly hostname: string;
  readonly tokenFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly databasePath: string;
}

/** It is up, and said no. */
export class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ControlPlaneProcess extends AsyncDisposable {
  /** Where agents connect; the same after each start. */
  readonly port: number;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it on the same addresses with the same data; resolves when it listens. */
  start(): Promise<void>;
  /**
   * Calls the admin API. The caller knows what each path answers: it is our own.
   * @throws RefusedError when it answers anything but 2xx; another Error when it is down
   */
  admin<T>(path: string, init?: RequestInit): Promise<T>;
}

export async function startControlPlaneProcess(
  options: ControlPlaneOptions,
): Promise<ControlPlaneProcess> {
  let child = spawn(options, 0, 0);
  const addresses = await listening(child);
  const port = Number(new URL(addresses.url).port);
  const adminPort = Number(new URL(addresses.admin_url).port);
  const kill = async () => {
    child.kill('SIGKILL');
    await child.exited;
  };
  return {
    port,
    kill,
    start: async () => {
      child = spawn(options, port, adminPort);
      await listening(child);
    },
    admin: async (path, init) => {
      const signal = AbortSignal.timeout(ADMIN_TIMEOUT_MS);
      const response = await fetch(`${addresses.admin_url}/admin${path}`, { ...init, signal });
      const text = await response.text();
      if (!response.ok) {
        throw new RefusedError(response.status, `${path} answered ${response.status}: ${text}`);
      }
      return text === '' ? undefined : JSON.parse(text);
    },
    [Symbol.asyncDispose]: kill,
  };
}

function spawn(options: ControlPlaneOptions, port: number, adminPort: number) {
  const argv = [
    ...[process.execPath, 'scripts/control-plane.ts', '--token-file', options.tokenFile],
    ...['--listen', `${options.hostname}:${port}`, '--admin-listen', `127.0.0.1:${adminPort}`],
    ...['--tls-cert', options.certFile, '--tls-key', options.keyFile],
    ...['--db', options.databasePath],
  ];
  return Bun.spawn(argv, { cwd: ROOT, stdin: 'ignore', stdout: 'pipe', stderr: 2 });
}

async function listening(
  child: ReturnType<typeof spawn>,
): Promise<{ readonly url: string; readonly admin_url: string }> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('\n')) {
      return JSON.parse(text);
    }
  }
  throw new Error(`The control plane ended with ${await child.exited} before it listened`);
}
