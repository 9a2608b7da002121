/** A time of the week in the policy, as root writes it: `sat 02:00-05:00 Europe/Berlin`. */
import * as z from 'zod';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

const DEFAULT_TIME_ZONE = 'UTC';
const LENGTH_MAX = 100;
const PATTERN =
  /^([a-z,]+) ([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])(?: ([A-Za-z0-9_+/-]+))?$/;

/** Of each week, in the local time of its zone. One whose end is not after its beginning ends the day after. */
export interface WeeklyWindow {
  /** On which it begins. */
  readonly days: readonly Weekday[];
  /** Minutes since midnight. */
  readonly from: number;
  readonly to: number;
  /** A name of the IANA database. */
  readonly timeZone: string;
}

/** @returns undefined for what is none */
export function parseWindow(text: string): WeeklyWindow | undefined {
  const [, dayText = '', fromHour, fromMinute, toHour, toMinute, zone] = PATTERN.exec(text) ?? [];
  const words = dayText.split(',');
  const days = dayText === 'daily' ? WEEKDAYS : WEEKDAYS.filter((day) => words.includes(day));
  const isKnown = dayText === 'daily' || days.length === words.length;
  const from = Number(fromHour) * 60 + Number(fromMinute);
  const to = Number(toHour) * 60 + Number(toMinute);
  const timeZone = zone ?? DEFAULT_TIME_ZONE;
  return isKnown && from !== to && isTimeZone(timeZone) ? { days, from, to, timeZone } : undefined;
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** It stays a text: the policy is shown and told to other servers as root wrote it. */
export const PolicyWindow = z
  .string()
  .max(LENGTH_MAX)
  .refine((text) => parseWindow(text) !== undefined, {
    error: 'must be like "sat,sun 02:00-05:00 Europe/Berlin" or "daily 23:00-01:00" (UTC)',
  });
