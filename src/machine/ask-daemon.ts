import { textWithin } from '../core/bounded-body.ts';
import { AgentError, isErrorCode } from '../core/errors.ts';
import { UNIT_NAME } from '../core/places.ts';
import type { LogLevel } from '../core/ports.ts';
import { serverSentEvents } from '../core/text/server-sent-events.ts';
import { systemCode } from '../core/text/system-words.ts';
import { troubleOf } from '../core/trouble.ts';
import { pollUntil, within } from '../core/waiting.ts';
import { activeState, lastJournalLines } from '../host/engine/systemctl.ts';
import type {
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../protocol/local-api.ts';
import { addressOf, type GivenParams } from '../protocol/local-api-address.ts';
import {
  type AnswerOf,
  type GivenOf,
  LOCAL_API,
  type RouteName,
} from '../protocol/local-api-table.ts';
import type { WorkloadSummary } from '../protocol/local-cluster.ts';
import { LogLine } from '../protocol/local-realtime.ts';
import type { TunnelStreamsPage } from '../protocol/local-routes.ts';
import { Problem } from '../protocol/local-status.ts';
import type { MachineContext } from './context.ts';

/** The daemon asks Kubernetes, which may take a while to refuse. */
const TIMEOUT_MS = 10_000;
/** The answer about a cluster of many nodes has at most 1 MiB. */
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;
/** Characters of a line of its log, with all its fields. */
const LINE_LENGTH_MAX = 1024 * 1024;
/** How long to wait for a daemon that starts. A restart takes about 1 s. */
const PATIENCE_MS = 5_000;
const RETRY_INTERVAL_MS = 250;
/** Of streams of tunnels. */
const STREAMS_TOLD_MAX = 100;
/** Lines of the journal in which the daemon's last error is looked for. */
const JOURNAL_LINES = 20;

const UNIT = 'pipeops-agent';
const LOOK = `systemctl status ${UNIT}`;
const JOURNAL = `sudo journalctl -u ${UNIT}`;

/** What the daemon says of itself. @throws AgentError DAEMON_UNREACHABLE, NOT_ROOT, NOT_INSTALLED */
export async function askDaemon(
  context: Asking,
  patienceMs = PATIENCE_MS,
): Promise<DetailedHealth> {
  const name = 'GET /api/health/detailed';
  return parse(name, await ask(context, name, {}, patienceMs));
}

/** How kubectl reaches the cluster through the daemon. @throws as askDaemon; NOT_A_SERVER */
export async function askLocalAccess(context: Asking): Promise<LocalAccess> {
  const access = await askIfKnown(context, 'GET /api/k8s/local-access', PATIENCE_MS);
  if (access === undefined) {
    throw new AgentError('NOT_A_SERVER', 'The agent on this machine has no way to Kubernetes', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  return access;
}

/**
 * Makes the daemon read the policy file now, and returns how that went. Undefined from a daemon of a
 * version that only reads it by itself, every 2 s. @throws as askDaemon
 */
export function askPolicy(context: Asking): Promise<PolicyAnswer | undefined> {
  return askIfKnown(context, 'GET /api/policy');
}

/**
 * Makes the daemon read the files of its session again and connect at once. Undefined from a daemon of a
 * version that only does that by itself. @throws as askDaemon
 */
export function askSession(context: Asking): Promise<SessionAnswer | undefined> {
  return askIfKnown(context, 'GET /api/session');
}

/**
 * The settings that the daemon was started with. Undefined from a daemon of a version that does not tell
 * them. @throws as askDaemon
 */
export function askSettings(context: Asking): Promise<SettingsAnswer | undefined> {
  return askIfKnown(context, 'GET /api/settings');
}

/**
 * What is wrong, since when and how often. Undefined from a daemon of a version that does not tell it.
 * @throws as askDaemon
 */
export function askHealth(context: Asking): Promise<HealthAnswer | undefined> {
  return askIfKnown(context, 'GET /api/health');
}

/**
 * How many Deployments and pods there are. Undefined on a worker, while nobody knows, and from a daemon of a
 * version that does not tell it. @throws as askDaemon
 */
export async function askWorkloads(context: Asking): Promise<WorkloadSummary | undefined> {
  const name = 'GET /api/k8s/summary';
  const answer = await ask(context, name, {}, 0);
  return answer.status === 200 ? parse(name, answer) : undefined;
}

/**
 * The newest streams of tunnels that are open now. Undefined on a worker, and from a daemon of a version that does
 * not tell them. @throws as askDaemon
 */
export async function askTunnelStreams(context: Asking): Promise<TunnelStreamsPage | undefined> {
  const name = 'GET /api/tunnels/streams';
  const answer = await ask(context, name, { limit: STREAMS_TOLD_MAX }, 0);
  return answer.status === 200 ? parse(name, answer) : undefined;
}

/**
 * What a route answers. @throws as askDaemon; what the daemon refuses it with, such as NOT_FOUND or NOT_A_SERVER
 */
export async function askRoute<Name extends RouteName>(
  context: Asking,
  name: Name,
  given: GivenOf<Name>,
  patienceMs = PATIENCE_MS,
): Promise<AnswerOf<Name>> {
  return parse(name, taken(await ask(context, name, given, patienceMs)));
}

/**
 * The newest lines of the agent's log, and with `follow` those that come until the signal.
 * @throws as askDaemon
 */
export async function followOwnLog(
  context: Asking,
  query: { readonly follow: boolean; readonly level: LogLevel; readonly tail: number },
  hear: (line: LogLine) => void | Promise<void>,
): Promise<void> {
  await askDaemon(context, 0); // It says in words why nobody answers.
  const { signal } = context;
  const given: GivenOf<'GET /api/realtime/logs'> = query;
  const { target } = addressOf('GET /api/realtime/logs', given);
  try {
    const init = { unix: socketOf(context), signal, timeout: false };
    const response = await context.http(`http://agent${target}`, init);
    for await (const { event, data } of serverSentEvents(response.body ?? [], LINE_LENGTH_MAX)) {
      if (event === 'log') {
        await hear(LogLine.parse(JSON.parse(data)));
      }
    }
  } catch (thrown) {
    if (!signal.aborted) {
      throw unreachable(`The agent went away: ${troubleOf(thrown)}`, `See why: ${JOURNAL}`);
    }
  }
}

/** The answer, unless it is a refusal: that is thrown in the words of the daemon. */
function taken(answer: Answer): Answer {
  if (answer.status < 400) {
    return answer;
  }
  const problem = Problem.safeParse(jsonOf(answer)).data;
  if (problem === undefined || !isErrorCode(problem.code)) {
    throw unreachable(
      'The agent that runs does not know this yet: it is of an older version',
      'Start the installed one: sudo systemctl restart pipeops-agent',
    );
  }
  throw new AgentError(problem.code, problem.detail, { hint: problem.hint ?? LOOK });
}

/** What a question to the daemon needs. */
type Asking = Pick<
  MachineContext,
  'clock' | 'env' | 'exec' | 'files' | 'http' | 'places' | 'signal'
>;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * What a route answers; undefined from a daemon of a version that does not know it. The caller asks again, if it
 * wants to wait.
 */
async function askIfKnown<Name extends RouteName & `GET ${string}`>(
  context: Asking,
  name: Name,
  patienceMs = 0,
): Promise<AnswerOf<Name> | undefined> {
  const answer = await ask(context, name, {}, patienceMs);
  return answer.status === 404 ? undefined : parse(name, answer);
}

/** Asks until the daemon answers, for as long as a start may take. */
async function ask(
  context: Asking,
  name: RouteName,
  given: GivenParams,
  patienceMs: number,
): Promise<Answer> {
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: patienceMs };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const answer = await askOnce(context, name, given);
    if (!(answer instanceof Error)) {
      return { found: answer };
    }
    const { error, passing } = await explain(context, answer);
    if (!passing) {
      throw error;
    }
    return { soFar: error };
  });
  if (end.kind === 'found') {
    return end.found;
  }
  throw end.soFar;
}

async function askOnce(
  context: Asking,
  name: RouteName,
  given: GivenParams,
): Promise<Answer | Error> {
  const { method, target } = addressOf(name, given);
  try {
    return await within(context.clock, TIMEOUT_MS, context.signal, async (signal) => {
      const unix = socketOf(context);
      const response = await context.http(`http://agent${target}`, { unix, signal, method });
      // A daemon in foreign hands may send without end. A text that is cut off is not understood later.
      const text = (await textWithin(response, ANSWER_LIMIT_BYTES)) ?? '';
      return { status: response.status, text };
    });
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

function socketOf({ env, places }: Pick<Asking, 'env' | 'places'>): string {
  const directory = env['RUNTIME_DIRECTORY'];
  return directory === undefined ? places.socketLink : `${directory}/agent.sock`;
}

/** Why there is no answer, and whether there may soon be one. */
async function explain(
  context: Asking,
  cause: Error,
): Promise<{ readonly error: AgentError; readonly passing: boolean }> {
  const code = systemCode(cause);
  if (code === 'EACCES' || code === 'EPERM') {
    const text = `The socket ${socketOf(context)} is for root`;
    const hint = 'Run the same command with sudo';
    return { error: new AgentError('NOT_ROOT', text, { hint, cause }), passing: false };
  }
  if (context.env['RUNTIME_DIRECTORY'] !== undefined) {
    const text = `No agent answers at ${socketOf(context)}: ${troubleOf(cause)}`;
    return { error: unreachable(text, `See whether it runs: ${LOOK}`, cause), passing: false };
  }
  if ((await context.files.stat(context.places.unitFile)) === undefined) {
    const text = 'pipeops-agent is not set up on this machine';
    const hint =
      'Make it a server: sudo pipeops-agent install; or a worker: sudo pipeops-agent join';
    return { error: new AgentError('NOT_INSTALLED', text, { hint, cause }), passing: false };
  }
  return explainUnit(context, cause);
}

async function explainUnit(
  context: Asking,
  cause: Error,
): Promise<{ readonly error: AgentError; readonly passing: boolean }> {
  switch (await activeState(context, UNIT_NAME)) {
    case 'active': {
      const text = `The agent runs, but does not answer: ${troubleOf(cause)}`;
      return { error: unreachable(text, `See what it does: ${JOURNAL}`, cause), passing: true };
    }
    case 'failed': {
      const text = `The agent has failed${await lastWords(context)}`;
      return { error: unreachable(text, `See why: ${JOURNAL}`, cause), passing: false };
    }
    case 'inactive': {
      const hint = `Start it: sudo systemctl start ${UNIT}`;
      return { error: unreachable('The agent is stopped', hint, cause), passing: false };
    }
    default: {
      const text = `The agent starts, and has not got ready yet${await lastWords(context)}`;
      return {
        error: unreachable(text, `See what it waits for: ${JOURNAL}`, cause),
        passing: true,
      };
    }
  }
}

/** `: ` and the last error in the daemon's journal; empty if there is none. */
async function lastWords(context: Asking): Promise<string> {
  const lines = await lastJournalLines(context, UNIT_NAME, JOURNAL_LINES);
  const line = lines.findLast((each) => each.includes('pipeops-agent: error: '));
  return line === undefined ? '' : `: ${line.replace(/^.*pipeops-agent: error: /, '')}`;
}

function unreachable(text: string, hint: string, cause?: Error): AgentError {
  return new AgentError('DAEMON_UNREACHABLE', text, { hint, cause });
}

/**
 * After an upgrade the daemon may still be of another version than this program. Unknown and missing
 * fields in its answer are accepted (protocol/local-api.ts).
 */
function parse<Name extends RouteName>(name: Name, answer: Answer): AnswerOf<Name> {
  const parsed = LOCAL_API[name].answer.safeParse(jsonOf(answer));
  if (!parsed.success) {
    throw otherVersion(parsed.error);
  }
  return parsed.data as AnswerOf<Name>;
}

function jsonOf({ text }: Answer): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw otherVersion(cause);
  }
}

function otherVersion(cause: unknown): AgentError {
  return new AgentError('DAEMON_UNREACHABLE', 'The agent gives an answer of another version', {
    hint: 'Start it again: sudo systemctl restart pipeops-agent',
    cause,
  });
}
