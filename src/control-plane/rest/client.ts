import type { BoundedText } from '../../core/bounded-body.ts';
import { AgentError } from '../../core/errors.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { readableOf } from '../../core/readable-of.ts';
import { firstItems } from '../../protocol/first-items.ts';
import { parseLongJson } from '../../protocol/long-json.ts';
import {
  type CommandResult,
  CommandsResponse,
  type Heartbeat,
  REST_PATHS,
  type Registration,
} from '../../protocol/rest.ts';
import { MESSAGE_LIMIT_BYTES } from '../../protocol/session/messages.ts';
import { circuitBreaker } from '../session/endpoint-policy.ts';
import { type RestCall, type RestCallDeps, type RestCallOptions, restCall } from './call.ts';

/** Deadlines of the calls, as the existing agent has them. */
const REGISTER_TIMEOUT_MS = 30_000;
const HEARTBEAT_TIMEOUT_MS = 10_000;
/**
 * Longer than the 15 s of the existing agent: the status of a large cluster may be tens of
 * megabytes.
 */
const STATUS_TIMEOUT_MS = 120_000;
const COMMANDS_TIMEOUT_MS = 15_000;
const RESULT_TIMEOUT_MS = 30_000;
const HEALTH_TIMEOUT_MS = 10_000;
/**
 * The limit of one message. From a longer answer the commands that arrived whole are taken; the
 * others come with the next fetch.
 */
const COMMANDS_READ_BYTES_MAX = MESSAGE_LIMIT_BYTES;

export interface RestClientDeps extends RestCallDeps {
  readonly random: Random;
}

/**
 * The six calls of the REST protocol (seed R1 to R6). Errors: TOKEN_REJECTED (401, 403), NOT_FOUND
 * (404), CONTROL_PLANE_ERROR (other answers; its failure holds the pause that the server asked
 * for), CONTROL_PLANE_UNREACHABLE (no answer).
 */
export interface RestClient {
  register(body: Registration, signal: AbortSignal): Promise<void>;
  heartbeat(body: Heartbeat, signal: AbortSignal): Promise<void>;
  /** @param body the JSON text of a ClusterStatus in pieces, sent as they come */
  status(agentId: string, body: AsyncIterable<string>, signal: AbortSignal): Promise<void>;
  /** The entries are unchecked: the caller checks each one separately. */
  commands(agentId: string, signal: AbortSignal): Promise<readonly unknown[]>;
  result(
    agentId: string,
    commandId: string,
    body: CommandResult,
    signal: AbortSignal,
  ): Promise<void>;
  health(signal: AbortSignal): Promise<void>;
}

export function restClient(deps: RestClientDeps, options: RestCallOptions): RestClient {
  const breaker = circuitBreaker(deps);
  const ask = (request: RestCall, signal: AbortSignal) =>
    breaker.run(() => restCall(deps, options, request, signal));
  const send = async (
    path: string,
    body: string | ReadableStream<Uint8Array>,
    timeoutMs: number,
    signal: AbortSignal,
  ) => {
    await ask({ method: 'POST', path, body, timeoutMs, authorized: true }, signal);
  };
  const post = (path: string, body: unknown, timeoutMs: number, signal: AbortSignal) =>
    send(path, JSON.stringify(body), timeoutMs, signal);
  return {
    register: (body, signal) => post(REST_PATHS.register(), body, REGISTER_TIMEOUT_MS, signal),
    heartbeat: (body, signal) =>
      post(REST_PATHS.heartbeat(body.agent_id), body, HEARTBEAT_TIMEOUT_MS, signal),
    status: (agentId, body, signal) =>
      send(REST_PATHS.status(agentId), readableOf(encoded(body)), STATUS_TIMEOUT_MS, signal),
    result: (agentId, commandId, body, signal) =>
      post(REST_PATHS.result(agentId, commandId), body, RESULT_TIMEOUT_MS, signal),
    commands: async (agentId, signal) => {
      const answer = await ask(
        {
          method: 'GET',
          path: REST_PATHS.commands(agentId),
          cutAtBytes: COMMANDS_READ_BYTES_MAX,
          timeoutMs: COMMANDS_TIMEOUT_MS,
          authorized: true,
        },
        signal,
      );
      return await parseCommands(deps, answer);
    },
    health: async (signal) => {
      await ask(
        {
          method: 'GET',
          path: REST_PATHS.health(),
          timeoutMs: HEALTH_TIMEOUT_MS,
          authorized: false,
        },
        signal,
      );
    },
  };
}

async function parseCommands(
  deps: { readonly clock: Clock },
  { text, isWhole }: BoundedText,
): Promise<readonly unknown[]> {
  if (text.trim() === '') {
    return [];
  }
  const readable = isWhole ? text : await firstItems(deps, text);
  if (readable === undefined) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      `The control plane sent a command of more than ${COMMANDS_READ_BYTES_MAX} bytes`,
      { hint: 'Divide its manifest' },
    );
  }
  const json = await parseLongJson(deps, readable);
  if (json.problem !== undefined) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      `The control plane sent commands that cannot be read: ${json.problem}`,
      { hint: 'Check that the address of the control plane is right and no proxy answers for it' },
    );
  }
  const parsed = CommandsResponse.safeParse(json.value);
  if (!parsed.success) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      'The control plane sent an answer without a list of commands',
      { hint: 'Check that the address of the control plane is right' },
    );
  }
  return parsed.data.commands ?? [];
}

async function* encoded(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const text of texts) {
    yield encoder.encode(text);
  }
}
