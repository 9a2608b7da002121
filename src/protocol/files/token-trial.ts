/** The file beside the control plane's token while another one is tried. It holds a secret. */
import * as z from 'zod';

/** Two tokens have place in it, of which each has at most 16 KiB. */
export const TOKEN_TRIAL_LIMIT_BYTES = 40 * 1024;

export const TokenTrialFile = z.object({
  v: z.literal(1),
  /** The token that the control plane is known to take. */
  before: z.string().min(1),
  /** Of the token that is tried: another one in its place ends the trial. */
  tried_sha256: z.string(),
});
export type TokenTrialFile = z.infer<typeof TokenTrialFile>;

/** @returns undefined for what is none, or damaged: the token in use is in its own file */
export function readTokenTrial(text: string | undefined): TokenTrialFile | undefined {
  try {
    return TokenTrialFile.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}
