/** The parts that are read of what `kubectl get … -o json` prints (kubernetes.io, API reference). */
import * as z from 'zod';

export const NodeList = z.looseObject({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({
        name: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
      status: z.looseObject({
        addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })).default([]),
        conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
        nodeInfo: z.looseObject({ kubeletVersion: z.string(), architecture: z.string() }),
      }),
    }),
  ),
});

/** What a joining machine looks at. */
export const JoiningNodeList = z.looseObject({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({
        name: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
      }),
      status: z.looseObject({
        addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })).default([]),
        conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
        nodeInfo: z.looseObject({ machineID: z.string().default('') }),
      }),
    }),
  ),
});

export const ConfigMapList = z.looseObject({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()).default({}) }),
      data: z.record(z.string(), z.string()).default({}),
    }),
  ),
});

export const SharedConfigMap = z.looseObject({
  data: z.record(z.string(), z.string()).default({}),
});

/** Of any object. */
export const ObjectIdentity = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string() }),
});

/** kubernetes.io, "Authenticating with Bootstrap Tokens". Values are base64. */
export const BootstrapTokenSecrets = z.looseObject({
  items: z.array(
    z.looseObject({
      data: z.looseObject({
        'token-id': z.string(),
        description: z.string().optional(),
        expiration: z.string().optional(),
      }),
    }),
  ),
});
