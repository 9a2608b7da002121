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
  let json: unknown;
  try {
    const response = await context.http('http://agent/api/health/detailed', {
      unix,
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    json = await response.json();
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
  return DetailedHealth.parse(json);
}
