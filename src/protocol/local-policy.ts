/** What the policy allows, and what it has refused, as the local API tells it. */
import * as z from 'zod';
import { pageOf } from './local-page.ts';

/** GET /api/policy/rules: what `policy show` shows, of the policy in force. */
export const PolicyRules = z.object({
  /** null where the file cannot be used: then everything is refused. */
  preset: z.string().nullable(),
  rules: z.array(
    z.object({
      /** What a refusal names. */
      rule: z.string(),
      meaning: z.string(),
    }),
  ),
});
export type PolicyRules = z.infer<typeof PolicyRules>;

/** The same refusal as often as it came. */
export const RefusalRow = z.object({
  /** `command`, `access`, `object`, `request`. */
  kind: z.string(),
  /** What was asked for: `exec in default`, `GET /api/v1/secrets`. At most 300 characters. */
  about: z.string(),
  rule: z.string(),
  reason: z.string(),
  first_at: z.string(),
  last_at: z.string(),
  times: z.int(),
});
export type RefusalRow = z.infer<typeof RefusalRow>;
/** As the store keeps them. */
export const RefusalRows = z.array(RefusalRow);

/** GET /api/policy/refusals */
export const RefusalsPage = pageOf(RefusalRow);
