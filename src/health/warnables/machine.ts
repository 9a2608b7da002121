/** What the checks of the machine find while the agent runs, by what it is about. */
import type { HealthFacts } from '../facts.ts';
import type { Problem, Warnable } from '../warnable.ts';

/** Ids of checks that have a warnable of their own (machine/checks.ts). */
const DISK_CHECKS: readonly string[] = ['disk-space', 'disk-filling', 'disk-trend', 'inodes'];
const CERTIFICATE_CHECKS: readonly string[] = ['k3s-certificates'];
const SNAPSHOT_CHECKS: readonly string[] = ['snapshots', 'etcd-snapshots'];
const NAMED = [...DISK_CHECKS, ...CERTIFICATE_CHECKS, ...SNAPSHOT_CHECKS];

const DAY_MS = 24 * 3_600_000;
/** As `doctor` warns (host/checks/k3s-certificates.ts). */
const CERTIFICATE_DAYS_MIN = 30;

const COMMON = { severity: 'warns', dependsOn: [], visibleAfterMs: 0 } as const;

export const disk: Warnable = {
  ...COMMON,
  id: 'disk',
  title: 'Disk',
  why: 'When it is full, nothing can be written any more; before that Kubernetes removes images and evicts pods.',
  remedy: `Make room: \`sudo journalctl --vacuum-size=200M\`, \`sudo k3s crictl rmi --prune\`; or use a larger disk. More, by
what was found: [disk-space](#disk-space), [disk-filling](#disk-filling), [disk-trend](#disk-trend),
[inodes](#inodes).`,
  find: ({ findings }) => told(findings, (check) => DISK_CHECKS.includes(check)),
};

export const certificates: Warnable = {
  ...COMMON,
  id: 'certificates',
  title: 'Certificates of k3s',
  why: 'When they have ended, the parts of Kubernetes no longer talk to each other, and the node is lost.',
  remedy: `k3s makes them for a year, and anew at each start that comes less than 120 days before their end: restart it,
pods keep running. \`sudo systemctl restart k3s\`, on a worker \`k3s-agent\`. More: [k3s-certificates](#k3s-certificates).`,
  find: ({ findings, ...facts }) => {
    const found = told(findings, (check) => CERTIFICATE_CHECKS.includes(check));
    // Root's helper sees the files of all of them.
    return found.length > 0 ? found : endingSoon(facts);
  },
};

export const snapshots: Warnable = {
  ...COMMON,
  id: 'snapshots',
  title: 'Snapshots',
  why: 'When the disk or the machine is lost, only a snapshot that can be restored brings the cluster back.',
  remedy: `The message says what of the schedule failed: \`journalctl -u pipeops-agent-snapshots\`. Mend it, and run it again:
\`sudo systemctl start pipeops-agent-snapshots\`. More: [snapshots](#snapshots), [etcd-snapshots](#etcd-snapshots),
docs/BACKUP.md. Where none are made (\`snapshots.every: never\`), none are missed.`,
  find: ({ findings }) => told(findings, (check) => SNAPSHOT_CHECKS.includes(check)),
};

function endingSoon({
  now,
  certificates: known,
  k3sUnit,
}: Pick<HealthFacts, 'now' | 'certificates' | 'k3sUnit'>): readonly Problem[] {
  return known.flatMap(({ of, endsAt }) => {
    const days = Math.floor((endsAt.getTime() - now.getTime()) / DAY_MS);
    const when = endsAt.toISOString().slice(0, 10);
    return days >= CERTIFICATE_DAYS_MIN
      ? []
      : [
          {
            about: of,
            code: 'CHECK_FAILED',
            message:
              days < 0
                ? `The certificate of the ${of} has ended on ${when}`
                : `The certificate of the ${of} ends in ${days} days, on ${when}`,
            hint: `Restart k3s, which makes it anew; pods keep running: sudo systemctl restart ${k3sUnit}`,
          },
        ];
  });
}

export const machine: Warnable = {
  ...COMMON,
  id: 'machine',
  title: 'Machine',
  why: 'Something on this machine is not as a good node needs it; the agent looks every hour.',
  remedy:
    'The message says what, and the hint what mends it. All of it: `sudo pipeops-agent doctor`.',
  find: ({ findings }) => told(findings, (check) => !NAMED.includes(check)),
};

function told(
  findings: HealthFacts['findings'],
  wanted: (check: string) => boolean,
): readonly Problem[] {
  return findings
    .filter(({ check }) => wanted(check))
    .map(({ check, code, message, advice }) => ({ about: check, code, message, hint: advice }));
}
