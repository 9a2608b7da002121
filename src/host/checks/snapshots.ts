import { durationMs } from '../../config/schema.ts';
import { formatDuration } from '../../core/text/duration.ts';
import { now } from '../facts/now.ts';
import { snapshotState } from '../facts/snapshots.ts';
import { subject } from '../facts/subject.ts';
import type { Check } from './check.ts';

/** One may fail, and the timer looks only once an hour. */
const LATE_FACTOR = 2;
const LATE_MARGIN_MS = 3 * 3_600_000;

export const ownSnapshots: Check = {
  id: 'snapshots',
  title: 'Snapshots of the agent',
  severity: 'warns',
  cost: 'dear',
  roles: ['server'],
  why: 'When the disk or the machine is lost, only a snapshot that can be restored brings the cluster back.',
  remedy: `A server makes one a day (\`snapshots.every\` in config.yaml), copies it where you want it, and opens
the newest once a month as a restore would. The message says what of this failed last. Look at
\`journalctl -u pipeops-agent-snapshots\`, mend it, and run it again:
\`sudo systemctl start pipeops-agent-snapshots\`. docs/BACKUP.md has the whole.`,
  needs: [snapshotState, subject, now],
  run: async (facts) => {
    const state = await facts(snapshotState);
    const { every } = (await facts(subject)).config.snapshots;
    if (state === undefined) {
      return undefined;
    }
    const [problem] = state.problems;
    if (problem !== undefined) {
      return {
        code: 'CHECK_FAILED',
        message: `Snapshots: ${problem}`,
        hint: 'See why, mend it, and run it again',
        fix: 'sudo systemctl start pipeops-agent-snapshots',
      };
    }
    const at = (await facts(now)).getTime();
    const ageMs = state.made_at === null ? 0 : at - Date.parse(state.made_at);
    return every === 'never' || ageMs <= durationMs(every) * LATE_FACTOR + LATE_MARGIN_MS
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `The newest snapshot is ${formatDuration(ageMs)} old`,
          hint: 'See whether the timer runs: systemctl status pipeops-agent-snapshots.timer',
        };
  },
};
