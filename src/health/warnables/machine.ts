/** What the checks of the machine find while the agent runs, by what it is about. */
import type { HealthFacts } from '../facts.ts';
import type { Problem, Warnable } from '../warnable.ts';

const DISK_CHECKS: readonly string[] = ['disk-space', 'disk-filling', 'inodes'];

const COMMON = { severity: 'warns', dependsOn: [], visibleAfterMs: 0 } as const;

export const disk: Warnable = {
  ...COMMON,
  id: 'disk',
  title: 'Disk',
  why: 'When it is full, nothing can be written any more; before that Kubernetes removes images and evicts pods.',
  remedy: `Make room: \`sudo journalctl --vacuum-size=200M\`, \`sudo k3s crictl rmi --prune\`; or use a larger disk. More, by
what was found: [disk-space](#disk-space), [disk-filling](#disk-filling), [inodes](#inodes).`,
  find: ({ findings }) => told(findings, (check) => DISK_CHECKS.includes(check)),
};

export const machine: Warnable = {
  ...COMMON,
  id: 'machine',
  title: 'Machine',
  why: 'Something on this machine is not as a good node needs it; the agent looks every hour.',
  remedy:
    'The message says what, and the hint what mends it. All of it: `sudo pipeops-agent doctor`.',
  find: ({ findings }) => told(findings, (check) => !DISK_CHECKS.includes(check)),
};

function told(
  findings: HealthFacts['findings'],
  wanted: (check: string) => boolean,
): readonly Problem[] {
  return findings
    .filter(({ check }) => wanted(check))
    .map(({ check, code, message, advice }) => ({ about: check, code, message, hint: advice }));
}
