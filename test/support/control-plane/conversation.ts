/** What is said over one WebSocket of an agent: strict about every message, order and field. */
import { CLOSE_CODES, type RegisterPayload } from '../../../src/protocol/session/messages.ts';
import type { AgentLink } from './agent-link.ts';
import { AnyRegistration } from './agent-wire.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { GATEWAY_PATH } from './dialect.ts';
import { type AgentEnvelope, describe, parsed, readEnvelope } from './envelope.ts';
import { type LiveSession, liveSession } from './live-session.ts';

/** An agent that is sent on to the gateway has this long to close this connection. */
const REDIRECT_CLOSE_MS = 10_000;

export interface ConversationSocket {
  readonly kind: AgentLink['kind'];
  readonly clusterUuid: string;
  /** False when the connection is gone. The type is for the trouble that may be due. */
  send(type: string, text: string): boolean;
  sendBinary(data: Uint8Array): boolean;
  close(code: number, reason: string): void;
}

export interface Conversation {
  opened(): void;
  message(text: string): void;
  binary(data: Uint8Array): void;
  closed(code: number): void;
  send(type: string, payload: Readonly<Record<string, unknown>>, requestId?: string): boolean;
  /** The agent did something against the protocol. */
  problem(text: string): void;
}

export function converse(deps: ConversationDeps, socket: ConversationSocket): Conversation {
  let agentId = '';
  let live: LiveSession | undefined;
  let redirect: NodeJS.Timeout | undefined;

  const problem = (text: string) => deps.store.problem(agentId, text);
  const send: Conversation['send'] = (type, payload, requestId) =>
    socket.send(
      type,
      JSON.stringify({
        type,
        ...(requestId === undefined ? {} : { request_id: requestId }),
        payload,
        timestamp: new Date().toISOString(),
      }),
    );
  /** It was told so, and registers again over the same connection. */
  const isForgotten = () => socket.kind === 'controller' && !deps.store.knows(agentId);
  const goLive = () => {
    live = liveSession(deps, { ...socket, agentId, send }, problem);
  };
  const register = (envelope: AgentEnvelope) => {
    const payload = AnyRegistration.safeParse(envelope.payload);
    if (!payload.success) {
      problem(`register: ${describe(payload.error)}`);
      send('error', { error: `bad register: ${describe(payload.error)}` }, envelope.request_id);
      return;
    }
    agentId = payload.data.agent_id;
    for (const text of registerProblems(deps, envelope, payload.data)) {
      problem(`register: ${text}`);
    }
    deps.store.registerByWebSocket(payload.data);
    welcome(deps, agentId, (type, each) => send(type, each, envelope.request_id));
    if (deps.dialect.gateway) {
      redirect = setTimeout(() => {
        problem('it was sent on to the gateway and did not close this connection');
        socket.close(CLOSE_CODES.goingAway, 'the gateway has you');
      }, REDIRECT_CLOSE_MS);
      redirect.unref();
    } else {
      goLive();
    }
  };

  return {
    opened: () => {
      if (socket.kind === 'gateway') {
        agentId = deps.store.agentOfCluster(socket.clusterUuid)?.id ?? '';
        if (agentId === '') {
          send('error', { error: 'cluster not found' });
        } else {
          goLive();
        }
      }
    },
    message: (text) => {
      const envelope = readEnvelope(parsed(text));
      if (typeof envelope === 'string') {
        problem(`a message that is no envelope: ${envelope}`);
      } else if (live !== undefined && envelope.type === 'register' && isForgotten()) {
        live.close(false);
        live = undefined;
        register(envelope);
      } else if (live !== undefined) {
        live.message(envelope);
      } else if (envelope.type === 'ping') {
        send('pong', { timestamp: new Date().toISOString() }, envelope.request_id);
      } else if (envelope.type === 'register' && agentId === '' && socket.kind === 'controller') {
        register(envelope);
      } else if (agentId !== '') {
        problem(`${envelope.type} after it was sent on to the gateway`);
      } else {
        problem(`${envelope.type} before it registered`);
        send('error', { error: 'not registered' });
      }
    },
    binary: (data) => {
      if (live === undefined) {
        problem('a binary message before it registered');
      } else {
        live.binary(data);
      }
    },
    closed: (code) => {
      live?.close(code === CLOSE_CODES.normal || code === CLOSE_CODES.goingAway);
      if (redirect !== undefined) {
        clearTimeout(redirect);
        if (code !== CLOSE_CODES.normal) {
          problem(`it was sent on to the gateway and closed with ${code}, not 1000`);
        }
      }
    },
    send,
    problem,
  };
}

function registerProblems(
  deps: ConversationDeps,
  envelope: AgentEnvelope,
  payload: RegisterPayload,
): readonly string[] {
  const problems: string[] = [];
  const requestId = envelope.request_id ?? '';
  if (!/^req_\d+_/.test(requestId) || !requestId.endsWith(`_${payload.agent_id}`)) {
    problems.push(`the request_id "${requestId}" is not req_<nanoseconds>_<agent id>`);
  }
  for (const label of ['hostname', 'agent.pipeops.io/version']) {
    if (payload.labels[label] === undefined) {
      problems.push(`the label ${label} is missing`);
    }
  }
  const known = deps.store.agent(payload.agent_id);
  if (payload.cluster_id !== undefined && known !== undefined) {
    if (payload.cluster_id !== known.cluster_id) {
      problems.push(`cluster_id is ${payload.cluster_id}, and was given as ${known.cluster_id}`);
    }
  }
  return problems;
}

function welcome(
  deps: ConversationDeps,
  agentId: string,
  send: (type: string, payload: Readonly<Record<string, unknown>>) => void,
): void {
  for (let left = deps.dialect.register_in_progress; left > 0; left -= 1) {
    send('register_in_progress', { message: 'almost there' });
  }
  const agent = deps.store.agent(agentId);
  send('register_success', {
    cluster_id: agent?.cluster_id,
    cluster_uuid: agent?.cluster_uuid,
    name: agent?.cluster_name,
    status: 'active',
    workspace_id: 1,
    ...(deps.dialect.gateway ? { gateway_ws_url: `${deps.webSocketUrl()}${GATEWAY_PATH}` } : {}),
    ...(deps.dialect.extension
      ? {
          features: {
            supports_commands: true,
            supports_status_reports: true,
            supports_flow_control: true,
          },
        }
      : {}),
    ...(deps.dialect.pace === undefined ? {} : { pace: deps.dialect.pace }),
  });
}
