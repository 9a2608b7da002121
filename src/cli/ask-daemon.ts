import { AgentError, messageOf } from '../core/errors.ts';
import { DetailedHealth, LocalAccess, PolicyAnswer } from '../protocol/local-api.ts';
import type { CliContext } from './context.ts';

const SOCKET_PATH = '/run/pipeops-agent/agent.sock';
/** /ready asks Kubernetes, which may take a while to say no. */
const TIMEOUT_MS = 10_000;

/** What the daemon says of itself. @throws AgentError DAEMON_UNREACHABLE, NOT_ROOT */
export async function askDaemon(context: CliContext): Promise<DetailedHealth> {
  return parse(await ask(context, '/api/health/detailed'), (json) => DetailedHealth.parse(json));
}

/** How kubectl reaches the cluster through the daemon. @throws as askDaemon; NOT_A_SERVER */
export async function askLocalAccess(context: CliContext): Promise<LocalAccess> {
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
export async function askPolicy(context: CliContext): Promise<PolicyAnswer | undefined> {
  const answer = await ask(context, '/api/policy');
  return answer.status === 404 ? undefined : parse(answer, (json) => PolicyAnswer.parse(json));
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(context: CliContext, path: string): Promise<Answer> {
  const directory = context.env['RUNTIME_DIRECTORY'];
  const unix = directory === undefined ? SOCKET_PATH : `${directory}/agent.sock`;
  try {
    const response = await context.http(`http://agent${path}`, {
      unix,
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    const there = (await context.files.stat(unix)) !== undefined;
    if (there && context.uid !== 0) {
      throw new AgentError('NOT_ROOT', `Cannot open ${unix}`, {
        hint: 'Run it with sudo, or join the group: sudo usermod -aG pipeops-agent "$USER"',
        cause,
      });
    }
    throw new AgentError('DAEMON_UNREACHABLE', `The agent does not answer: ${messageOf(cause)}`, {
      hint: 'See whether it runs: systemctl status pipeops-agent',
      cause,
    });
  }
}

/** After an upgrade the daemon may still be of another version than this program. */
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
