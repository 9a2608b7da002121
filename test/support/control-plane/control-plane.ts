/**
 * A control plane that really runs: what the tests, the demo and a person at home talk to.
 * It keeps its state in SQLite and checks every message it receives.
 */
import { adminApi } from './admin-api.ts';
import { agentApi } from './agent-api.ts';
import { createFaults } from './faults.ts';
import { ControlPlaneStore } from './store.ts';

export interface ControlPlaneOptions {
  readonly token: string;
  /** Where agents connect; loopback and a free port when absent. */
  readonly listen?: { readonly hostname: string; readonly port: number };
  readonly adminListen?: { readonly hostname: string; readonly port: number };
  readonly tls?: { readonly cert: string; readonly key: string };
  /** A file that survives a restart; in memory when absent. */
  readonly databasePath?: string;
}

export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly store: ControlPlaneStore;
  /** Looks again after every change, until the condition gives a value. */
  waitFor<T>(condition: () => T | undefined, timeoutMs: number): Promise<T>;
}

const LOOPBACK = { hostname: '127.0.0.1', port: 0 };

export function startControlPlane(options: ControlPlaneOptions): ControlPlane {
  const store = new ControlPlaneStore(options.databasePath ?? ':memory:');
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) {
      listener();
    }
  };
  const faults = createFaults();
  const answerAgent = agentApi({ store, token: options.token, changed });
  const server = Bun.serve({
    ...(options.listen ?? LOOPBACK),
    development: false,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    fetch: (request) => faults.handle(request, answerAgent),
  });
  const admin = Bun.serve({
    ...(options.adminListen ?? LOOPBACK),
    development: false,
    fetch: adminApi({ store, faults, changed }),
  });
  const scheme = options.tls === undefined ? 'http' : 'https';
  return {
    url: `${scheme}://${options.listen?.hostname ?? LOOPBACK.hostname}:${server.port}`,
    adminUrl: `http://127.0.0.1:${admin.port}`,
    port: server.port ?? 0,
    store,
    waitFor: (condition, timeoutMs) => waitFor(listeners, condition, timeoutMs),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([server.stop(true), admin.stop(true)]);
      store[Symbol.dispose]();
    },
  };
}

function waitFor<T>(
  listeners: Set<() => void>,
  condition: () => T | undefined,
  timeoutMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      listeners.delete(look);
    };
    const look = () => {
      try {
        const value = condition();
        if (value !== undefined) {
          stop();
          resolve(value);
        }
      } catch (thrown) {
        stop();
        reject(thrown);
      }
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`The condition was not met in ${timeoutMs} ms: ${condition}`));
    }, timeoutMs);
    listeners.add(look);
    look();
  });
}
