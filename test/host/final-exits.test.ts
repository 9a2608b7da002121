/** Which exits of the daemon end it for good: unit, page and codes say the same. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { AgentError, ERROR_CODES } from '../../src/core/errors.ts';
import unitText from '../../systemd/pipeops-agent.service' with { type: 'text' };

const finalExits = (/^RestartPreventExitStatus=(.*)$/m.exec(unitText)?.[1] ?? '')
  .split(' ')
  .map(Number);

test('the page names the exits that the unit does not restart after', async () => {
  const page = await Bun.file(join(import.meta.dir, '../../docs/ARCHITECTURE.md')).text();
  const rows = [...page.matchAll(/^\| (\d+) .*\| never +\|$/gm)].map(([, exit]) => Number(exit));
  expect(rows).toEqual(finalExits);
});

test('what the machine may heal by itself is not final', () => {
  expect(finalExits).toEqual([2, 3, 10]);
  const passing = ERROR_CODES.filter(
    (code) => new AgentError(code, '', { hint: 'Look' }).retryable,
  );
  const others = ['DISK_FULL', 'FILE_ACCESS', 'PORT_IN_USE', 'TOKEN_REJECTED', 'INTERNAL'] as const;
  const final = [...passing, ...others].filter((code) =>
    finalExits.includes(new AgentError(code, '', { hint: 'Look' }).exitCode),
  );
  expect(final).toEqual([]);
});
