/** What kubectl says, without what must differ between two runs on the same cluster. */
import type { CommandResult } from '../../vm/host-command.ts';

/** In this order. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/\bkubectl-(?:direct|local|session|gateway)\b/g, 'NAMESPACE'],
  [/\/(?:var\/)?tmp\/[^\s"']*/g, 'FILE'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, 'TIME'],
  [/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, 'TIME'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UID'],
  [/(resourceVersion"?: ?"?)\d+/g, '$1VERSION'],
  [/(containerd:\/\/|exec ")[0-9a-f]{64}/g, '$1CONTAINER'],
  [/\b(web-[0-9a-f]{8,10})-[a-z0-9]{5}\b/g, '$1-POD'],
  [/\b10\.4[23]\.\d+\.\d+\b/g, 'ADDRESS'],
  [/(127\.0\.0\.1|\[::1\]):\d+/g, '$1:PORT'],
  // Ages: 3s, 2m10s.
  [/(?<![\w.])\d+[smhd](?:\d+[smh])?(?=[\s,)]|$)/gm, 'AGE'],
  // Columns are as wide as what is in them.
  [/ {2,}/g, '  '],
  [/[ \t\r]+$/gm, ''],
];

function normalised(text: string): string {
  return VARYING.reduce((result, [pattern, by]) => result.replace(pattern, by), text);
}

export interface Said {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function said({ exitCode, stdout, stderr }: CommandResult): Said {
  return { exitCode, stdout: normalised(stdout), stderr: normalised(stderr) };
}
