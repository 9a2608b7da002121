import type { UnitReport } from './unit-watch.ts';

/** What explains the end of a program, the surest first: logrus, klog and Go's runtime. */
const EXPLANATIONS = [
  /\blevel=(fatal|panic)\b|^F\d{4} |^panic: |^fatal error: /,
  /^E\d{4} /,
  /\blevel=error\b/,
];

/** Why systemd ended it, where the program could not say so itself. */
const RESULTS: Readonly<Record<string, string>> = {
  'oom-kill': 'the kernel ended it, for the machine has too little memory',
  watchdog: 'it hung, and systemd ended it',
  timeout: 'it did not start in time, and systemd ended it',
  signal: 'a signal ended it',
  'core-dump': 'it crashed',
};

/** The newest of the lines that explain most, not the newest of all. */
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
