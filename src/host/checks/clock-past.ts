import { builtAt } from '../facts/built-at.ts';
import { now } from '../facts/now.ts';
import { type Check, EVERYWHERE } from './check.ts';

/** Whoever made the program may have had a clock that was ahead a little. */
const SLACK_MS = 24 * 3_600_000;

export const clockNotPast: Check = {
  id: 'clock-past',
  title: 'Clock, not in the past',
  severity: 'blocks',
  cost: 'cheap',
  roles: EVERYWHERE,
  why: 'Certificates that are made now would begin and end years too early, and those of others are refused as not valid yet.',
  remedy: `The clock shows a time at which this version of the agent was not made yet, as on a machine without a clock
that keeps time while it is off (a Raspberry Pi), or with an empty battery. Set it:
\`sudo timedatectl set-ntp true\`, or without a network \`sudo timedatectl set-time '2030-01-31 12:00'\`.
No other clock is needed to see this, so it is found without internet as well. \`install\` and \`join\` wait up
to a minute for NTP; at each start of a machine the agent waits up to 30 s for it.`,
  needs: [builtAt, now],
  run: async (facts) => {
    const made = await facts(builtAt);
    const time = await facts(now);
    return made === undefined || time.getTime() >= made.getTime() - SLACK_MS
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `This clock shows ${dayOf(time)}, and this program was made on ${dayOf(made)}`,
          hint: 'Set it, and let NTP keep it',
          fix: 'sudo timedatectl set-ntp true',
        };
  },
};

function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}
