/** logs and exec: what is said and done in a pod. */
import * as z from 'zod';
import { DnsLabel } from '../dns-label.ts';
import { DnsSubdomain } from '../dns-subdomain.ts';
import { ProgramText, UnicodeText } from './fields.ts';

const LOG_LINES_MAX = 10_000;
const LOG_LINES_DEFAULT = 100;
/** Thirty days. */
const LOG_SINCE_SECONDS_MAX = 2_592_000;
/** Words of a command line, and characters of all of them: they travel in an address. */
const EXEC_WORDS_MAX = 256;
const EXEC_COMMAND_LENGTH_MAX = 32_768;
/** Characters. */
const EXEC_STDIN_LENGTH_MAX = 1_048_576;
const EXEC_TIMEOUT_SECONDS_MAX = 3_600;
const EXEC_TIMEOUT_SECONDS_DEFAULT = 60;

const podFields = {
  pod: DnsSubdomain.optional(),
  /** A Deployment. */
  name: DnsSubdomain.optional(),
  namespace: DnsLabel.default('default'),
  /** Absent: the only one, or the one that the pod marks as its default. */
  container: DnsLabel.optional(),
} as const;

function namesOne({ pod, name }: { pod?: unknown; name?: unknown }): boolean {
  return (pod === undefined) !== (name === undefined);
}

const NAMES_ONE = { message: 'name either a pod or a Deployment ("name")', path: ['pod'] };

export const LogsPayload = z
  .strictObject({
    ...podFields,
    /** The newest lines of each pod. */
    lines: z.int().min(1).max(LOG_LINES_MAX).default(LOG_LINES_DEFAULT),
    since_seconds: z.int().min(1).max(LOG_SINCE_SECONDS_MAX).optional(),
    /** Of the run before the last restart. */
    previous: z.boolean().default(false),
  })
  .refine(namesOne, NAMES_ONE);
export type LogsPayload = z.infer<typeof LogsPayload>;

export const LogsData = z.strictObject({
  pods: z.array(
    z.strictObject({
      pod: z.string(),
      container: z.string().optional(),
      /** Its text was cut in the middle. */
      truncated: z.boolean(),
      /** Why there are no lines of this pod. */
      error: z.string().optional(),
    }),
  ),
  /** Pods of the Deployment that were not looked at. */
  pods_left_out: z.int().min(0),
});
export type LogsData = z.infer<typeof LogsData>;

export const ExecPayload = z
  .strictObject({
    ...podFields,
    /** The program and its arguments; there is no shell unless it is one. */
    command: z
      .array(ProgramText)
      .min(1)
      .max(EXEC_WORDS_MAX)
      .refine(
        (words) => words.join(' ').length <= EXEC_COMMAND_LENGTH_MAX,
        `must have at most ${EXEC_COMMAND_LENGTH_MAX} characters`,
      ),
    /** The whole input of the program. */
    stdin: UnicodeText.max(EXEC_STDIN_LENGTH_MAX).optional(),
    timeout_seconds: z
      .number()
      .min(1)
      .max(EXEC_TIMEOUT_SECONDS_MAX)
      .default(EXEC_TIMEOUT_SECONDS_DEFAULT),
  })
  .refine(namesOne, NAMES_ONE);
export type ExecPayload = z.infer<typeof ExecPayload>;

export const ExecData = z.strictObject({
  pod: z.string(),
  container: z.string(),
  /** Null when it did not start or nobody saw its end. */
  exit_code: z.int().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  /** One of the two was cut in the middle. */
  truncated: z.boolean(),
});
export type ExecData = z.infer<typeof ExecData>;
