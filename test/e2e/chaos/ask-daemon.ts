/** What the daemon on a machine says of itself. */
import { DetailedHealth } from '../../../src/protocol/local-api.ts';
import type { Machine } from '../../vm/machine.ts';

const ASK = [
  ...['curl', '-fsS', '--unix-socket', '/run/pipeops-agent/agent.sock'],
  'http://localhost/api/health/detailed',
];

export async function askDaemon(server: Machine): Promise<DetailedHealth> {
  return DetailedHealth.parse(JSON.parse((await server.exec(ASK)).stdout));
}
