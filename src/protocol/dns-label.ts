import * as z from 'zod';

/** RFC 1123 label: what names of namespaces, Services and Deployments must be here. */
export const DnsLabel = z
  .string()
  .regex(
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    'must be lower-case letters, digits and "-", at most 63 characters (RFC 1123)',
  );
