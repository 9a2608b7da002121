import type { Config } from '../config/schema.ts';
import { authorization } from '../control-plane/credentials/authorization.ts';
import { type RestClient, restClient } from '../control-plane/rest/client.ts';
import { controllerAddress } from '../control-plane/session/gateway.ts';
import { leave, openConnection } from '../control-plane/websocket/connection.ts';
import { AgentError, type ErrorCode, toAgentError } from '../core/errors.ts';
import type { Network } from '../core/ports.ts';
import { BUILD } from '../core/version.ts';
import { WEBSOCKET_PATH } from '../protocol/session/messages.ts';
import type { MachineContext } from './context.ts';
import { proxySettings } from './outbound.ts';

/** No agent has this id, and no control plane this token. The check only looks at the answers to them. */
const CHECK_AGENT_ID = 'pipeops-agent-install-check';
const WRONG_TOKEN = CHECK_AGENT_ID;

/**
 * Asks the control plane before anything is changed. So a wrong address or token is found within a
 * second, and not after the installation.
 * @throws AgentError CONTROL_PLANE_UNREACHABLE, CONTROL_PLANE_ERROR, TOKEN_REJECTED
 */
export async function checkControlPlane(
  context: MachineContext,
  config: Config,
  ca: string | undefined,
  token: string,
): Promise<void> {
  const network = await context.network({ ca, proxy: proxySettings(context, config) });
  const progress = await context.progress('Ask the control plane');
  try {
    await check(context, network, { url: config.control_plane.url, ca, token });
  } catch (thrown) {
    progress.fail();
    throw thrown;
  } finally {
    network.close();
  }
  progress.done();
}

interface Checked {
  readonly url: string;
  readonly ca: string | undefined;
  readonly token: string;
}

async function check(context: MachineContext, network: Network, target: Checked): Promise<void> {
  const { clock, random, signal } = context;
  const client = (token: string): RestClient =>
    restClient(
      { clock, random, http: network.http, token: async () => token },
      { baseUrl: target.url, version: BUILD.version, ca: target.ca },
    );
  const right = client(target.token);
  await rejectionOf(right.health(signal), ['NOT_FOUND']);
  // It does not know that agent, so 404 is the usual answer.
  await rejectionOf(right.commands(CHECK_AGENT_ID, signal), ['NOT_FOUND']);
  const asked = client(WRONG_TOKEN).commands(CHECK_AGENT_ID, signal);
  const rejection = await rejectionOf(asked, ['NOT_FOUND', 'TOKEN_REJECTED']);
  if (rejection !== 'TOKEN_REJECTED') {
    // The same answer with any token: nobody has checked it. The server may speak WebSocket only.
    await checkWebSocket(context, network, target);
  }
}

/** @returns the code of an expected rejection; undefined if there was none. @throws any other rejection */
async function rejectionOf(
  call: Promise<unknown>,
  expected: readonly ErrorCode[],
): Promise<ErrorCode | undefined> {
  try {
    await call;
    return undefined;
  } catch (thrown) {
    const { code } = toAgentError(thrown);
    if (!expected.includes(code)) {
      throw thrown;
    }
    return code;
  }
}

/** Opens the session's WebSocket, and closes it again before registering. */
async function checkWebSocket(
  { clock, signal }: MachineContext,
  { dial }: Network,
  { url, token }: Checked,
): Promise<void> {
  const headers = await authorization({ token: async () => token }, { version: BUILD.version });
  const target = {
    kind: 'controller',
    url: controllerAddress(url, WEBSOCKET_PATH),
    headers,
  } as const;
  const deaf = {
    message: () => undefined,
    binary: () => 'taken' as const,
    unreadable: () => undefined,
  };
  try {
    leave(await openConnection({ clock, dial }, target, deaf, signal), signal);
  } catch (thrown) {
    const error = toAgentError(thrown);
    throw error.code === 'CONTROL_PLANE_ERROR' ? noControlPlane(url, error) : error;
  }
}

function noControlPlane(url: string, cause: AgentError): AgentError {
  return new AgentError(
    'CONTROL_PLANE_ERROR',
    `What answers at ${new URL(url).host} is no control plane: it knows neither of our calls`,
    {
      hint: 'Check the address: --api-url (PIPEOPS_API_URL)',
      cause,
      details: cause.details ?? {},
    },
  );
}
