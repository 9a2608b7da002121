/** The file that `snapshots.s3_credentials_file` names: YAML, and secret. */
import * as z from 'zod';

export const S3Credentials = z.strictObject({
  access_key_id: z.string().min(1).max(256),
  secret_access_key: z.string().min(1).max(1_024),
});
export type S3Credentials = z.infer<typeof S3Credentials>;
