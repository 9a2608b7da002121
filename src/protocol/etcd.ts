/** What etcd answers to HTTP: numbers are texts, and what is empty is left out (etcd.io, "gRPC gateway"). */
import * as z from 'zod';

export const EtcdMemberList = z.looseObject({
  members: z.array(
    z.looseObject({ name: z.string().default(''), isLearner: z.boolean().default(false) }),
  ),
});
