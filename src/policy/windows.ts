import { AgentError } from '../core/errors.ts';
import { parseWindow, WEEKDAYS, type WeeklyWindow } from '../protocol/files/policy-window.ts';

/** Whether it is time for something. Without windows it always is. */
export function isWithin(windows: readonly string[], now: Date): boolean {
  return (
    windows.length === 0 ||
    windows
      .map(parseWindow)
      .some((window) => window !== undefined && isWithinOne(window, localTime(now, window)))
  );
}

export function outsideWindow(windows: readonly string[], what: string): AgentError {
  return new AgentError('OUTSIDE_WINDOW', `"${what}" has its time: ${windows.join(' or ')}`, {
    hint: 'Wait for it, or change "windows" in the policy: docs/POLICY.md',
  });
}

interface LocalTime {
  readonly day: number;
  readonly minute: number;
}

function isWithinOne({ days, from, to }: WeeklyWindow, { day, minute }: LocalTime): boolean {
  const isOn = (index: number) => days.some((each) => each === WEEKDAYS.at(index));
  if (from < to) {
    return isOn(day) && minute >= from && minute < to;
  }
  return (isOn(day) && minute >= from) || (isOn(day - 1) && minute < to);
}

function localTime(now: Date, { timeZone }: WeeklyWindow): LocalTime {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    ...({ weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const),
  });
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const weekday = parts.get('weekday')?.toLowerCase();
  const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
  return { day: WEEKDAYS.map(String).indexOf(weekday ?? ''), minute };
}
