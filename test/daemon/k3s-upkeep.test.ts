/** What the daemon has root's helper do for k3s, and what it tells where that is not done. */
import { expect, test } from 'bun:test';
import { AgentError } from '../../src/core/errors.ts';
import { upkeepOfK3s } from '../../src/daemon/k3s-upkeep.ts';
import { memoryLog } from '../support/memory-log.ts';

const { signal } = new AbortController();
const AUTHORITY_ENDS = '2036-01-01T00:00:00.000Z';

function upkeep({
  isWorker = false,
  obstacle = '',
  refusal = undefined as AgentError | undefined,
}) {
  const asked: string[] = [];
  const part = upkeepOfK3s({
    log: memoryLog(),
    askHelper: async ({ verb }) => {
      asked.push(verb);
      if (refusal !== undefined) {
        throw refusal;
      }
      return { restarted: 'certificates' };
    },
    turn: isWorker
      ? undefined
      : {
          run: async (work) => {
            asked.push('turn');
            if (obstacle !== '') {
              return obstacle;
            }
            await work();
            return undefined;
          },
          giveBack: async () => void asked.push('give back'),
        },
  });
  const after = (restart: 'certificates' | 'address' | null) =>
    part.after({ restart, authority_ends: AUTHORITY_ENDS }, signal);
  return { ...part, after, asked };
}

test('a server restarts for certificates in its turn, and a worker or for its address at once', async () => {
  const server = upkeep({});
  expect(await server.after('certificates')).toBe(true);
  await server.after('address');
  const worker = upkeep({ isWorker: true });
  await worker.after('certificates');
  expect([server.asked, worker.asked]).toEqual([
    ['turn', 'restart_k3s', 'restart_k3s'],
    ['restart_k3s'],
  ]);
  expect([...server.findings(), ...worker.findings()]).toEqual([]);
});

test('where nothing is to be done the helper is not asked, and a turn of before ends', async () => {
  const server = upkeep({});
  await server.after(null);
  expect(server.asked).toEqual(['give back']);
  expect(server.authority()).toEqual([
    { of: 'cluster authority', endsAt: new Date(AUTHORITY_ENDS) },
  ]);
});

test('while it is not its turn nothing is wrong', async () => {
  const server = upkeep({ obstacle: 'server "two" is not ready' });
  expect(await server.after('certificates')).toBe(false);
  expect([server.asked, server.findings()]).toEqual([['turn'], []]);
});

test('what keeps it from the restart is told by the check that found the reason, until it is done', async () => {
  const hint = 'Run there: sudo pipeops-agent host approve 12345678';
  const refusal = new AgentError('APPROVAL_NEEDED', 'A person must approve it', { hint });
  const server = upkeep({ refusal });
  await server.after('certificates');
  expect(server.asked).toEqual(['turn', 'restart_k3s', 'give back']);
  await server.after('address');
  expect(server.findings()).toEqual([
    {
      check: 'changed-address',
      code: 'APPROVAL_NEEDED',
      message:
        'k3s should be restarted, because the address of its node has changed: A person must approve it',
      advice: hint,
    },
  ]);
  await server.after(null);
  expect(server.findings()).toEqual([]);
});
