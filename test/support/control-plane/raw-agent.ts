/** An agent that says just what a test tells it to say, over a real WebSocket. */
import { CLOSE_CODES, WEBSOCKET_PATH } from '../../../src/protocol/session/messages.ts';
import type { ControlPlane } from './control-plane.ts';

export interface RawMessage {
  readonly type: string;
  readonly request_id?: string;
  readonly payload: Record<string, unknown>;
}

export interface RawAgent extends AsyncDisposable {
  send(type: string, payload: object, requestId?: string): void;
  sendText(text: string): void;
  sendBinary(bytes: Uint8Array<ArrayBuffer>): void;
  /** The next message of this type that was not taken yet. */
  next(type: string): Promise<RawMessage>;
  /** Ends the connection as a machine does that loses its power. */
  terminate(): void;
  /** Close code of the connection. */
  readonly closed: Promise<number>;
}

export const REGISTER = {
  agent_id: 'one',
  name: 'test',
  k8s_version: 'v1.34.1+k3s1',
  hostname: 'vm',
  agent_version: '1.2.3',
  server_ip: '192.0.2.1',
  region: 'unknown-country',
  cloud_provider: 'agent',
  tunnel_port_config: { kubernetes_api: 6443, kubelet: 10250, agent_http: 8080 },
  labels: { hostname: 'vm', 'agent.pipeops.io/version': '1.2.3' },
  server_specs: { cpu_cores: 2, os: 'linux' },
  features: {
    supports_streaming: true,
    supports_binary_protocol: true,
    supports_compression: false,
    supports_websocket_proxy: true,
    supports_gateway: true,
    supports_response_streaming: true,
    supports_commands: true,
    supports_status_reports: true,
    supports_flow_control: true,
  },
  metadata: { agent_mode: 'vm-agent' },
};

export async function rawAgent(
  controlPlane: Pick<ControlPlane, 'url'>,
  path = WEBSOCKET_PATH,
  token = 'token',
): Promise<RawAgent> {
  const waiting: { readonly type: string; readonly take: (message: RawMessage) => void }[] = [];
  const untaken: RawMessage[] = [];
  const socket = new WebSocket(`${controlPlane.url.replace(/^http/, 'ws')}${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const closed = new Promise<number>((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve(code));
  });
  socket.addEventListener('message', ({ data }) => {
    const message: RawMessage = JSON.parse(String(data));
    const at = waiting.findIndex(({ type }) => type === message.type);
    const waiter = waiting.splice(at, at === -1 ? 0 : 1)[0];
    if (waiter === undefined) {
      untaken.push(message);
    } else {
      waiter.take(message);
    }
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('the upgrade was refused')));
  });
  const sendText = (text: string) => socket.send(text);
  return {
    closed,
    terminate: () => socket.terminate(),
    sendText,
    sendBinary: (bytes) => socket.send(bytes),
    send: (type, payload, requestId) =>
      sendText(
        JSON.stringify({
          type,
          ...(requestId === undefined ? {} : { request_id: requestId }),
          payload,
          timestamp: new Date().toISOString(),
        }),
      ),
    next: (type) => {
      const at = untaken.findIndex((message) => message.type === type);
      const message = at === -1 ? undefined : untaken.splice(at, 1)[0];
      return message === undefined
        ? new Promise((take) => waiting.push({ type, take }))
        : Promise.resolve(message);
    },
    [Symbol.asyncDispose]: async () => {
      socket.close(CLOSE_CODES.normal);
      await closed;
    },
  };
}

/** An agent that is registered. */
export async function registeredAgent(controlPlane: Pick<ControlPlane, 'url'>): Promise<RawAgent> {
  const agent = await rawAgent(controlPlane);
  agent.send('register', REGISTER, 'req_1_one');
  await agent.next('register_success');
  return agent;
}
