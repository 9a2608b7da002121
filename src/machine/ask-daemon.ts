import { textWithin } from '../core/bounded-body.ts';
import { AgentError, isErrorCode } from '../core/errors.ts';
import { UNIT_NAME } from '../core/places.ts';
import type { LogLevel } from '../core/ports.ts';
import { serverSentEvents } from '../core/text/server-sent-events.ts';
import { systemCode } from '../core/text/system-words.ts';
import { troubleOf } from '../core/trouble.ts';
import { pollUntil, within } from '../core/waiting.ts';
import { activeState, lastJournalLines } from '../host/engine/systemctl.ts';
import {
  DashboardLink,
  DetailedHealth,
  HealthAnswer,
  LocalAccess,
  PolicyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../protocol/local-api.ts';
import { NodeUsagePage, PodUsagePage, WorkloadSummary } from '../protocol/local-cluster.ts';
import { CancelAnswer, CommandAnswer, CommandsAnswer } from '../protocol/local-commands.ts';
import { LogLine } from '../protocol/local-realtime.ts';
import { LogLevelAnswer, Problem } from '../protocol/local-status.ts';
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
  const answer = await ask(context, '/api/health/detailed', { patienceMs });
  return parse(answer, (json) => DetailedHealth.parse(json));
}

/** How kubectl reaches the cluster through the daemon. @throws as askDaemon; NOT_A_SERVER */
export async function askLocalAccess(context: Asking): Promise<LocalAccess> {
  const answer = await ask(context, '/api/k8s/local-access');
  if (answer.status === 404) {
    throw new AgentError('NOT_A_SERVER', 'The agent on this machine has no way to Kubernetes', {
      hint: 'Run this on a machine that was set up with: pipeops-agent install',
    });
  }
  return parse(answer, (json) => LocalAccess.parse(json));
}

/**
 * Makes the daemon read the policy file now, and returns how that went. Undefined from a daemon of a
 * version that only reads it by itself, every 2 s. @throws as askDaemon
 */
export async function askPolicy(context: Asking): Promise<PolicyAnswer | undefined> {
  const answer = await ask(context, '/api/policy', { patienceMs: 0 }); // The caller asks again, if it wants to wait.
  return answer.status === 404 ? undefined : parse(answer, (json) => PolicyAnswer.parse(json));
}

/**
 * Makes the daemon read the files of its session again and connect at once. Undefined from a daemon of a
 * version that only does that by itself. @throws as askDaemon
 */
export async function askSession(context: Asking): Promise<SessionAnswer | undefined> {
  const answer = await ask(context, '/api/session', { patienceMs: 0 });
  return answer.status === 404 ? undefined : parse(answer, (json) => SessionAnswer.parse(json));
}

/**
 * The settings that the daemon was started with. Undefined from a daemon of a version that does not tell
 * them. @throws as askDaemon
 */
export async function askSettings(context: Asking): Promise<SettingsAnswer | undefined> {
  const answer = await ask(context, '/api/settings', { patienceMs: 0 });
  return answer.status === 404 ? undefined : parse(answer, (json) => SettingsAnswer.parse(json));
}

/**
 * What is wrong, since when and how often. Undefined from a daemon of a version that does not tell it.
 * @throws as askDaemon
 */
export async function askHealth(context: Asking): Promise<HealthAnswer | undefined> {
  const answer = await ask(context, '/api/health', { patienceMs: 0 });
  return answer.status === 404 ? undefined : parse(answer, (json) => HealthAnswer.parse(json));
}

/**
 * How many Deployments and pods there are. Undefined on a worker, while nobody knows, and from a daemon of a
 * version that does not tell it. @throws as askDaemon
 */
export async function askWorkloads(context: Asking): Promise<WorkloadSummary | undefined> {
  const answer = await ask(context, '/api/k8s/summary', { patienceMs: 0 });
  return answer.status === 200 ? parse(answer, (json) => WorkloadSummary.parse(json)) : undefined;
}

/** What nodes use now, those that use most first. @throws as askDaemon; NOT_A_SERVER, KUBERNETES_API */
export async function askNodeUsage(context: Asking, sort: string): Promise<NodeUsagePage> {
  const path = `/api/k8s/usage/nodes?${new URLSearchParams({ sort, limit: '500' })}`;
  return parse(taken(await ask(context, path)), (json) => NodeUsagePage.parse(json));
}

/** The same of pods. @throws the same; NOT_FOUND where nothing measures them */
export async function askPodUsage(
  context: Asking,
  query: { readonly sort: string; readonly limit: number; readonly namespace: string | undefined },
): Promise<PodUsagePage> {
  const { sort, limit, namespace } = query;
  const given = { sort, limit: String(limit), ...(namespace === undefined ? {} : { namespace }) };
  const answer = await ask(context, `/api/k8s/usage/pods?${new URLSearchParams(given)}`);
  return parse(taken(answer), (json) => PodUsagePage.parse(json));
}

/** @throws as askDaemon */
export async function askCommands(
  context: Asking,
  query: { readonly limit: number; readonly state?: string | undefined },
  patienceMs = PATIENCE_MS,
): Promise<CommandsAnswer> {
  const { limit, state } = query;
  const given = { limit: String(limit), ...(state === undefined ? {} : { state }) };
  const answer = await ask(context, `/api/commands?${new URLSearchParams(given)}`, { patienceMs });
  return parse(taken(answer), (json) => CommandsAnswer.parse(json));
}

/** @throws as askDaemon; NOT_FOUND */
export async function askCommand(context: Asking, id: string): Promise<CommandAnswer> {
  const answer = await ask(context, `/api/commands/${encodeURIComponent(id)}`);
  return parse(taken(answer), (json) => CommandAnswer.parse(json));
}

/** Asks a command to stop. @throws as askDaemon; NOT_FOUND */
export async function cancelCommand(context: Asking, id: string): Promise<CancelAnswer> {
  const path = `/api/commands/${encodeURIComponent(id)}/cancel`;
  const answer = await ask(context, path, { method: 'POST', patienceMs: 0 });
  return parse(taken(answer), (json) => CancelAnswer.parse(json));
}

/** A link to the page, for one use. @throws as askDaemon; NOT_FOUND from a daemon of a version without the page */
export async function askDashboardLink(context: Asking): Promise<DashboardLink> {
  const answer = await ask(context, '/api/dashboard/links', { method: 'POST' });
  return parse(taken(answer), (json) => DashboardLink.parse(json));
}

/** How much the agent logs. @throws as askDaemon */
export async function askLogLevel(
  context: Asking,
  change?: { readonly level: LogLevel; readonly seconds: number },
): Promise<LogLevelAnswer> {
  const answer = await (change === undefined
    ? ask(context, '/api/log-level')
    : ask(
        context,
        `/api/log-level?${new URLSearchParams({ level: change.level, seconds: String(change.seconds) })}`,
        { method: 'POST' },
      ));
  return parse(taken(answer), (json) => LogLevelAnswer.parse(json));
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
  const given = { follow: String(query.follow), level: query.level, tail: String(query.tail) };
  const path = `/api/realtime/logs?${new URLSearchParams(given)}`;
  try {
    const init = { unix: socketOf(context), signal, timeout: false };
    const response = await context.http(`http://agent${path}`, init);
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
  const problem = parse(answer, (json) => Problem.safeParse(json).data);
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

interface AskOptions {
  readonly method?: 'GET' | 'POST';
  /** How long to wait for a daemon that starts. */
  readonly patienceMs?: number;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks until the daemon answers, for as long as a start may take. */
async function ask(
  context: Asking,
  path: string,
  { method = 'GET', patienceMs = PATIENCE_MS }: AskOptions = {},
): Promise<Answer> {
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: patienceMs };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const answer = await askOnce(context, path, method);
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

async function askOnce(context: Asking, path: string, method: string): Promise<Answer | Error> {
  try {
    return await within(context.clock, TIMEOUT_MS, context.signal, async (signal) => {
      const unix = socketOf(context);
      const response = await context.http(`http://agent${path}`, { unix, signal, method });
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
function parse<T>(answer: Answer, read: (json: unknown) => T): T {
  try {
    return read(JSON.parse(answer.text));
  } catch (cause) {
    throw new AgentError('DAEMON_UNREACHABLE', 'The agent gives an answer of another version', {
      hint: 'Start it again: sudo systemctl restart pipeops-agent',
      cause,
    });
  }
}
