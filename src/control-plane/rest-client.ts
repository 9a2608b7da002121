import { AgentError, messageOf } from '../core/errors.ts';
import type { Clock, Http, Random, TlsOptions } from '../core/ports.ts';
import { redact } from '../core/redact.ts';
import {
  type CommandResult,
  CommandsResponse,
  type Heartbeat,
  REST_BODY_LIMIT_BYTES,
  REST_PATHS,
  type Registration,
} from '../protocol/rest.ts';
import { withDeadline } from './deadline.ts';
import { circuitBreaker } from './endpoint-policy.ts';
import { retryAfterMs } from './pace.ts';

/** Deadlines of the calls, as the existing agent has them. */
const REGISTER_TIMEOUT_MS = 30_000;
const HEARTBEAT_TIMEOUT_MS = 10_000;
const STATUS_TIMEOUT_MS = 15_000;
const COMMANDS_TIMEOUT_MS = 15_000;
const RESULT_TIMEOUT_MS = 30_000;
const HEALTH_TIMEOUT_MS = 10_000;

/** Characters of a foreign error text that are repeated. */
const FOREIGN_TEXT_MAX = 200;

export interface RestClientOptions {
  /** `https://…`, with or without a path. */
  readonly baseUrl: string;
  readonly version: string;
  /** Certificates (PEM) to trust instead of the public ones. */
  readonly ca: string | undefined;
}

export interface RestClientDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly http: Http;
  /** The bearer token as it is now: it may be replaced while the daemon runs. */
  readonly token: () => Promise<string | undefined>;
}

/**
 * The six calls of the REST protocol (seed R1 to R6). Errors: TOKEN_REJECTED (401, 403),
 * NOT_FOUND (404), CONTROL_PLANE_ERROR (other answers; `details.retryAfterMs` where the server
 * asked for a pause), CONTROL_PLANE_UNREACHABLE (no answer).
 */
export interface RestClient {
  register(body: Registration, signal: AbortSignal): Promise<void>;
  heartbeat(body: Heartbeat, signal: AbortSignal): Promise<void>;
  /** @param body the JSON text of a ClusterStatus in pieces, sent as they come */
  status(agentId: string, body: AsyncIterable<string>, signal: AbortSignal): Promise<void>;
  /** Unchecked entries: the caller checks each on its own. */
  commands(agentId: string, signal: AbortSignal): Promise<readonly unknown[]>;
  result(
    agentId: string,
    commandId: string,
    body: CommandResult,
    signal: AbortSignal,
  ): Promise<void>;
  health(signal: AbortSignal): Promise<void>;
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string | ReadableStream<Uint8Array>;
  readonly timeoutMs: number;
  readonly authorized: boolean;
}

export function restClient(deps: RestClientDeps, options: RestClientOptions): RestClient {
  const breaker = circuitBreaker(deps);
  const ask = (request: Call, signal: AbortSignal) =>
    breaker.run(() => call(deps, options, request, signal));
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
      send(REST_PATHS.status(agentId), streamOf(body), STATUS_TIMEOUT_MS, signal),
    result: (agentId, commandId, body, signal) =>
      post(REST_PATHS.result(agentId, commandId), body, RESULT_TIMEOUT_MS, signal),
    commands: async (agentId, signal) => {
      const text = await ask(
        {
          method: 'GET',
          path: REST_PATHS.commands(agentId),
          timeoutMs: COMMANDS_TIMEOUT_MS,
          authorized: true,
        },
        signal,
      );
      return parseCommands(text);
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

function parseCommands(text: string): readonly unknown[] {
  if (text.trim() === '') {
    return [];
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      'The control plane sent commands that are not JSON',
      {
        hint: 'Check that the address of the control plane is right and no proxy answers for it',
        cause,
      },
    );
  }
  const parsed = CommandsResponse.safeParse(json);
  if (!parsed.success) {
    throw new AgentError(
      'CONTROL_PLANE_ERROR',
      'The control plane sent an answer without a list of commands',
      { hint: 'Check that the address of the control plane is right' },
    );
  }
  return parsed.data.commands ?? [];
}

async function call(
  deps: RestClientDeps,
  options: RestClientOptions,
  request: Call,
  signal: AbortSignal,
): Promise<string> {
  const token = request.authorized ? await deps.token() : undefined;
  if (request.authorized && token === undefined) {
    throw new AgentError('TOKEN_REJECTED', 'There is no control-plane token', {
      hint: 'Give one: pipeops-agent install --token-file FILE',
    });
  }
  const { response, text } = await exchange(deps, options, request, token, signal);
  if (response.status >= 200 && response.status < 300) {
    return text;
  }
  throw refusal(deps.clock, request, response, text, token);
}

async function exchange(
  deps: RestClientDeps,
  options: RestClientOptions,
  request: Call,
  token: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly response: Response; readonly text: string }> {
  const tls: TlsOptions = options.ca === undefined ? {} : { ca: options.ca };
  const limit = { what: `${request.method} ${request.path}`, ms: request.timeoutMs };
  try {
    return await withDeadline(deps.clock, limit, signal, async (inner) => {
      const response = await deps.http(`${options.baseUrl.replace(/\/+$/, '')}${request.path}`, {
        method: request.method,
        headers: {
          'user-agent': `PipeOps-Agent/${options.version}`,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(request.body === undefined ? {} : { body: request.body }),
        // The token must not follow a redirect to another host.
        redirect: 'manual',
        signal: inner,
        tls,
      });
      return { response, text: await readBounded(response) };
    });
  } catch (thrown) {
    throw noAnswer(options, thrown, signal);
  }
}

function streamOf(pieces: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done === true) {
        controller.close();
      } else {
        controller.enqueue(encoder.encode(value));
      }
    },
    cancel: async () => {
      await iterator.return?.();
    },
  });
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > REST_BODY_LIMIT_BYTES) {
      throw new AgentError(
        'CONTROL_PLANE_ERROR',
        `The control plane sent more than ${REST_BODY_LIMIT_BYTES} bytes`,
        { hint: 'Check that the address of the control plane is right' },
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Names what stood in the way, so that the reader knows which machine to look at. */
function noAnswer(options: RestClientOptions, thrown: unknown, signal: AbortSignal): AgentError {
  const isTimeout = thrown instanceof AgentError && thrown.code === 'TIMEOUT';
  if (thrown instanceof AgentError && !isTimeout) {
    return thrown;
  }
  const { host } = new URL(options.baseUrl);
  if (signal.aborted) {
    return new AgentError('INTERRUPTED', `The request to ${host} was interrupted`);
  }
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const why = isTimeout ? 'it did not answer in time' : describeNetworkError(code, thrown);
  return new AgentError('CONTROL_PLANE_UNREACHABLE', `Cannot reach ${host}: ${why}`, {
    hint: /CERT|TLS|SSL|SELF_SIGNED|ISSUER|VERIFY/.test(code)
      ? 'If it uses a private CA, name its certificate with --ca-file (PIPEOPS_CA_FILE)'
      : 'Check the address, DNS, the firewall and, behind a proxy, HTTPS_PROXY',
    cause: thrown,
  });
}

function describeNetworkError(code: string, thrown: unknown): string {
  switch (code) {
    case 'ConnectionRefused':
    case 'ECONNREFUSED':
      return 'it refuses connections';
    case 'ENOTFOUND':
    case 'FailedToResolve':
    case 'EAI_AGAIN':
      return 'its name cannot be resolved';
    case 'ConnectionClosed':
    case 'ECONNRESET':
      return 'it closed the connection';
    default:
      return code === '' ? messageOf(thrown) : `${code}: ${messageOf(thrown)}`;
  }
}

function refusal(
  clock: Clock,
  request: Call,
  response: Response,
  text: string,
  token: string | undefined,
): AgentError {
  const said = redact(text.slice(0, FOREIGN_TEXT_MAX), token === undefined ? [] : [token]);
  const answer = `${request.method} ${request.path} was answered ${response.status}`;
  const message = said.trim() === '' ? answer : `${answer}: ${said.trim()}`;
  switch (response.status) {
    case 401:
    case 403:
      return new AgentError('TOKEN_REJECTED', 'The control plane does not accept the token', {
        hint: 'Get a new token and run: pipeops-agent install --token-file FILE',
        details: { status: response.status },
      });
    case 404:
      return new AgentError('NOT_FOUND', message, { details: { status: 404 } });
    default: {
      const pauseMs = retryAfterMs(clock, response.headers.get('retry-after'));
      return new AgentError('CONTROL_PLANE_ERROR', message, {
        hint: 'The agent tries again by itself; if it stays so, look at the control plane',
        details: {
          status: response.status,
          ...(pauseMs === undefined ? {} : { retryAfterMs: pauseMs }),
        },
      });
    }
  }
}
