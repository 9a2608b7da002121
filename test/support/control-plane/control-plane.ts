/**
 * A control plane that really runs: what the tests, the demo and a person at home talk to.
 * It keeps its state in SQLite and checks every message it receives.
 */
import type { Server } from 'bun';
import { hostAndPort } from '../../../src/core/text/host-and-port.ts';
import { WEBSOCKET_PATH } from '../../../src/protocol/session/messages.ts';
import { adminApi } from './admin-api.ts';
import { startAdminServer } from './admin-server.ts';
import { agentApi } from './agent-api.ts';
import { type AgentLink, AgentLinks } from './agent-link.ts';
import {
  type AgentSocketDeps,
  type SocketData,
  upgrade,
  webSocketHandler,
} from './agent-socket.ts';
import { Dialect, type DialectOptions, GATEWAY_PATH } from './dialect.ts';
import { createFaults, type Faults } from './faults.ts';
import { proxyPlane } from './proxy-plane.ts';
import { answerWithFault, type Line } from './request-faults.ts';
import { ControlPlaneStore } from './store.ts';
import { startWire } from './wire.ts';

export interface ControlPlaneOptions {
  readonly token: string;
  /** Where agents connect; loopback and a free port when absent. */
  readonly listen?: { readonly hostname: string; readonly port: number };
  readonly adminListen?: { readonly hostname: string; readonly port: number };
  readonly tls?: { readonly cert: string; readonly key: string };
  /** A file that survives a restart; in memory when absent. */
  readonly databasePath?: string;
  /** false: agents connect without the wire between, which costs time; no fault can cut them off. */
  readonly wire?: boolean;
  /** What it speaks; everything but the gateway when absent. */
  readonly dialect?: DialectOptions;
}

export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly port: number;
  readonly store: ControlPlaneStore;
  readonly faults: Faults;
  /** Those that it takes from agents. */
  readonly tokens: Set<string>;
  /** The agent's WebSocket that is up now. */
  link(agentId: string): AgentLink | undefined;
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
  const links = new AgentLinks();
  const tokens = new Set([options.token]);
  const dialect = Dialect.parse(options.dialect ?? {});
  const plane = proxyPlane({
    serviceToken: (agentId) => store.serviceToken(agentId),
    isWindowed: (agentId) => dialect.extension && store.isWindowed(agentId),
    problem: (agentId, text) => store.problem(agentId, text),
  });
  const host = options.listen?.hostname ?? LOOPBACK.hostname;
  const secure = options.tls === undefined ? '' : 's';
  const authority = () => hostAndPort(host, port());
  const answer = agentServer({
    store,
    links,
    faults,
    dialect,
    changed,
    tokens,
    dataPlane: plane,
    webSocketUrl: () => `ws${secure}://${authority()}`,
  });
  const listen = options.listen ?? LOOPBACK;
  const server = Bun.serve<SocketData>({
    ...(options.wire === false ? listen : LOOPBACK),
    development: false,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    fetch: (request, self) => {
      const seenFrom = self.requestIP(request)?.port ?? 0;
      return answer.fetch(request, self, {
        cut: () => wire?.cut(seenFrom),
        freeze: (ms) => wire?.freeze(seenFrom, ms),
      });
    },
    websocket: answer.websocket,
  });
  const wire = options.wire === false ? undefined : startWire(listen, server.port ?? 0);
  const port = () => wire?.port ?? server.port ?? 0;
  const admin = startAdminServer(
    options.adminListen ?? LOOPBACK,
    plane,
    adminApi({ store, links, faults, tokens, changed }),
  );
  return {
    url: `http${secure}://${authority()}`,
    adminUrl: `http://127.0.0.1:${admin.port}`,
    port: port(),
    store,
    faults,
    tokens,
    link: (agentId) => links.of(agentId),
    waitFor: (condition, timeoutMs) => waitFor(listeners, condition, timeoutMs),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([
        ...[wire?.[Symbol.asyncDispose](), server.stop(true)],
        admin[Symbol.asyncDispose](),
      ]);
      store[Symbol.dispose]();
    },
  };
}

/** Both protocols on one address, with the trouble that is asked for. */
function agentServer(deps: AgentSocketDeps) {
  const { store, tokens, changed, faults, dialect } = deps;
  const rest = agentApi({
    store,
    tokens,
    changed,
    offered: dialect.rest,
    routes: dialect.routes,
  });
  return {
    websocket: webSocketHandler(deps),
    fetch: async (request: Request, server: Server<SocketData>, line: Line) => {
      const { pathname } = new URL(request.url);
      const isWebSocket = pathname === WEBSOCKET_PATH || pathname === GATEWAY_PATH;
      const fault = faults.ofRequest(pathname);
      if (isWebSocket && fault === undefined) {
        return upgrade(deps, server, request, line);
      }
      const answer = async () =>
        (isWebSocket ? upgrade(deps, server, request, line) : await rest(request)) ??
        new Response();
      return fault === undefined ? answer() : answerWithFault(fault, line, answer);
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
