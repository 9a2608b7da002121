import { AgentError, messageOf } from '../core/errors.ts';
import { DetailedHealth } from '../protocol/local-api.ts';
import type { CliContext } from './context.ts';

const SOCKET_PATH = '/run/pipeops-agent/agent.sock';
/** /ready asks Kubernetes, which may take a while to say no. */
const TIMEOUT_MS = 10_000;

/** What the daemon says of itself. @throws AgentError DAEMON_UNREACHABLE, NOT_ROOT */
export async function askDaemon(context: CliContext): Promise<DetailedHealth> {
  const directory = context.env['RUNTIME_DIRECTORY'];
  const unix = directory === undefined ? SOCKET_PATH : `${directory}/agent.sock`;
  let text: string;
  try {
    const response = await context.http('http://agent/api/health/detailed', {
      unix,
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    text = await response.text();
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
  return parseHealth(text);
}

/** After an upgrade the daemon may still be of another version than this program. */
function parseHealth(text: string): DetailedHealth {
  try {
    return DetailedHealth.parse(JSON.parse(text));
  } catch (cause) {
    throw new AgentError('DAEMON_UNREACHABLE', 'The agent gives an answer of another version', {
      hint: 'Start it again: sudo systemctl restart pipeops-agent',
      cause,
    });
  }
}
