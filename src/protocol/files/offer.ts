/**
 * What the process that offers programs to joining machines is told: root hands it over in a credential
 * of its unit (systemd.exec(5), "LoadCredential="). All of it is secret.
 */
import * as z from 'zod';

export const OFFER_LIMIT_BYTES = 1024 * 1024;
/** The name of the credential. */
export const OFFER_CREDENTIAL = 'offer';

export const Offer = z.object({
  hostname: z.string().min(1),
  port: z.int().min(1).max(65_535),
  /** PEM. */
  certificate: z.string(),
  key: z.string(),
  /** The first part of every path. */
  path: z.string().min(32),
  /** What the join token lives by: asked for again and again. */
  server: z.url({ protocol: /^https$/ }),
  ca: z.string(),
  token: z.string().min(1),
  /** Of the program, and where it stands. */
  agent: z.object({ version: z.string(), platform: z.string(), file: z.string() }),
  /** The signatures of the program's release; absent where the server's build knows no keys. */
  release: z
    .object({
      manifest: z.string(),
      manifestSignature: z.string(),
      key: z.string(),
      keySignature: z.string(),
    })
    .optional(),
  k3s: z.object({
    version: z.string(),
    file: z.string(),
    /** As k3s names files of its releases. */
    programName: z.string(),
    sumsName: z.string(),
    installer: z.string(),
  }),
  /** What the new machine runs first. */
  script: z.string(),
});
export type Offer = z.infer<typeof Offer>;
