/**
 * What a join token is bound to, beside its end, which is Kubernetes' own: one JSON text in a
 * ConfigMap beside the Secret of the token, where the daemon may read it. No secret is in it.
 */
import * as z from 'zod';

/** The key of the ConfigMap that holds it. */
export const JOIN_LIMITS_KEY = 'limits';

export const JoinLimits = z.looseObject({
  /** The oldest reader that may use it. */
  v: z.literal(1),
  /** How many nodes may join with it; 0: any number until it ends. */
  uses: z.int().min(0),
  /** The name that they may take; `*` stands for any characters. */
  node: z.string().optional(),
  /** The networks from which they may come. */
  from: z.array(z.string()).optional(),
  /** What the machine becomes; a worker when absent. */
  role: z.enum(['agent', 'server']).optional(),
  /** ISO time. */
  created: z.iso.datetime(),
});
export type JoinLimits = z.infer<typeof JoinLimits>;

/** @returns undefined where the text is none that is known here */
export function parseJoinLimits(text: string | undefined): JoinLimits | undefined {
  try {
    return JoinLimits.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined; // Somebody else has written it.
  }
}
