/** What time was spent on, for a table at the end of a run. */
export interface Spent {
  readonly title: string;
  readonly seconds: number;
}

/** In seconds, to the millisecond. */
export function secondsOf(ms: number): number {
  return Math.round(ms) / 1_000;
}
