import type { UnitReport } from './unit-watch.ts';

/** Lines that explain why a program ended, most certain first: of logrus, klog and Go's runtime. */
const EXPLANATIONS = [
  /\blevel=(fatal|panic)\b|^F\d{4} |^panic: |^fatal error: /,
  /^E\d{4} /,
  /\blevel=error\b/,
];

/** Why the program ended, in systemd's terms, for when the program itself could not say. */
const RESULTS: Readonly<Record<string, string>> = {
  'oom-kill': 'the kernel ended it, for the machine has too little memory',
  watchdog: 'it hung, and systemd ended it',
  timeout: 'it did not start in time, and systemd ended it',
  signal: 'a signal ended it',
  'core-dump': 'it crashed',
};

/** The newest line of the most certain kind. It is often not the newest line of all. */
export function explainingLine({ lines, result }: UnitReport): string {
  for (const pattern of EXPLANATIONS) {
    const line = lines.findLast((each) => pattern.test(each));
    if (line !== undefined) {
      return messageOfLine(line);
    }
  }
  return RESULTS[result] ?? lines.at(-1) ?? 'it said nothing';
}

/** logrus writes `time="…" level=fatal msg="…"`. */
function messageOfLine(line: string): string {
  const quoted = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
  return quoted?.replaceAll(/\\(["\\])/g, '$1') ?? line;
}
