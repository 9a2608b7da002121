/** Fields that the payloads of several commands share, with their limits. */
import * as z from 'zod';
import { DnsLabel } from '../dns-label.ts';

const DOMAIN = String.raw`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*`;

/** Host name of an Ingress; the first part may be `*`. */
export const DomainName = z
  .string()
  .max(253)
  .regex(new RegExp(String.raw`^(\*\.)?${DOMAIN}$`), 'must be a lower-case domain name (RFC 1123)');

/** JSON can name half a surrogate pair, UTF-8 cannot: Kubernetes would get another character. */
export const UnicodeText = z
  .string()
  .refine((text) => text.isWellFormed(), 'must be Unicode: it has half a surrogate pair');

/** What a program can be given as a word or a variable: NUL would end it (execve(2)). */
export const ProgramText = UnicodeText.refine(
  (text) => !text.includes('\0'),
  'must have no NUL character: no program can be given one',
);

const REPLICAS_MAX = 1_000;
/** Longest wait for a rollout, seconds. */
const WAIT_SECONDS_MAX = 3_600;
const WAIT_SECONDS_DEFAULT = 120;

export const Replicas = z.int().min(0).max(REPLICAS_MAX);

/** How long to wait for the rollout; 0 does not wait. */
export const WaitSeconds = z.number().min(0).max(WAIT_SECONDS_MAX).default(WAIT_SECONDS_DEFAULT);

/** What a command about one Deployment names. */
export const targetFields = {
  name: DnsLabel,
  namespace: DnsLabel.default('default'),
} as const;

/** The Deployment that a command is about. */
export interface DeploymentTarget {
  readonly name: string;
  readonly namespace: string;
}

/** How far a rollout came: part of the data of every command that waits for one. */
export const rolloutData = {
  replicas_wanted: z.int().min(0),
  replicas_ready: z.int().min(0),
  /** Why it did not become ready: `<kind>: <what Kubernetes says>`, from pods and events. */
  reasons: z.array(z.string()).optional(),
} as const;
