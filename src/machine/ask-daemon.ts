import { textWithin } from '../core/bounded-body.ts';
import { AgentError } from '../core/errors.ts';
import { UNIT_NAME } from '../core/places.ts';
import { systemCode } from '../core/text/system-words.ts';
import { troubleOf } from '../core/trouble.ts';
import { pollUntil, within } from '../core/waiting.ts';
import { activeState, lastJournalLines } from '../host/engine/systemctl.ts';
import {
  DetailedHealth,
  LocalAccess,
  PolicyAnswer,
  SessionAnswer,
  SettingsAnswer,
} from '../protocol/local-api.ts';
import type { MachineContext } from './context.ts';

/** /ready asks Kubernetes, which may take a while to say no. */
const TIMEOUT_MS = 10_000;
/** A cluster of many nodes tells 1 MiB at most. */
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;
/** How long a daemon that starts is waited for: a restart takes about 1 s. */
const PATIENCE_MS = 5_000;
const RETRY_INTERVAL_MS = 250;
/** Lines of its journal in which its last error is looked for. */
const JOURNAL_LINES = 20;

const UNIT = 'pipeops-agent';
const LOOK = `systemctl status ${UNIT}`;
const JOURNAL = `sudo journalctl -u ${UNIT}`;

/** What the daemon says of itself. @throws AgentError DAEMON_UNREACHABLE, NOT_ROOT, NOT_INSTALLED */
export async function askDaemon(
  context: Asking,
  patienceMs = PATIENCE_MS,
): Promise<DetailedHealth> {
  const answer = await ask(context, '/api/health/detailed', patienceMs);
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
 * Has the daemon take the policy file up as it is now, and says how that went. Undefined from one of
 * a version that only reads it by itself, every 2 s. @throws as askDaemon
 */
export async function askPolicy(context: Asking): Promise<PolicyAnswer | undefined> {
  const answer = await ask(context, '/api/policy', 0); // Who asks waits, and knows how long.
  return answer.status === 404 ? undefined : parse(answer, (json) => PolicyAnswer.parse(json));
}

/**
 * Has the daemon take up the files of its session, and try at once. Undefined from one of a version that
 * does it by itself. @throws as askDaemon
 */
export async function askSession(context: Asking): Promise<SessionAnswer | undefined> {
  const answer = await ask(context, '/api/session', 0);
  return answer.status === 404 ? undefined : parse(answer, (json) => SessionAnswer.parse(json));
}

/** What the daemon was started with. Undefined from one of a version that does not say it. @throws as askDaemon */
export async function askSettings(context: Asking): Promise<SettingsAnswer | undefined> {
  const answer = await ask(context, '/api/settings', 0);
  return answer.status === 404 ? undefined : parse(answer, (json) => SettingsAnswer.parse(json));
}

/** What the daemon is asked with. */
type Asking = Pick<
  MachineContext,
  'clock' | 'env' | 'exec' | 'files' | 'http' | 'places' | 'signal'
>;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks until the daemon answers, for as long as one that starts may take. */
async function ask(context: Asking, path: string, patienceMs = PATIENCE_MS): Promise<Answer> {
  const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: patienceMs };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const answer = await askOnce(context, path);
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

async function askOnce(context: Asking, path: string): Promise<Answer | Error> {
  try {
    return await within(context.clock, TIMEOUT_MS, context.signal, async (signal) => {
      const unix = socketOf(context);
      const response = await context.http(`http://agent${path}`, { unix, signal });
      // A daemon that was taken over may send without end. Cut off, it is of no version.
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

/** Why there is no answer, and whether there may be one soon. */
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

/** `: ` and what the daemon said last of an error; empty where nothing is known. */
async function lastWords(context: Asking): Promise<string> {
  const lines = await lastJournalLines(context, UNIT_NAME, JOURNAL_LINES);
  const line = lines.findLast((each) => each.includes('pipeops-agent: error: '));
  return line === undefined ? '' : `: ${line.replace(/^.*pipeops-agent: error: /, '')}`;
}

function unreachable(text: string, hint: string, cause: Error): AgentError {
  return new AgentError('DAEMON_UNREACHABLE', text, { hint, cause });
}

/**
 * After an upgrade the daemon may still be of another version than this program. What it says beside
 * what is known here, or no longer says, is no trouble: protocol/local-api.ts.
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
