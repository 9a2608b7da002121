import * as z from 'zod';

/** Kubernetes bounds the whole of a name, not its parts. */
const NAME = String.raw`[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`;

/** RFC 1123 subdomain as Kubernetes has it: names of most objects. */
export const DnsSubdomain = z
  .string()
  .max(253)
  .regex(
    new RegExp(`^${NAME}$`),
    'must be lower-case letters, digits, "-" and ".", at most 253 characters (RFC 1123)',
  );
