/**
 * The part of a kubeconfig that the agent writes and reads: one cluster with its CA, one user with
 * a token (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files"). JSON is YAML, so
 * kubectl reads it too.
 */
import * as z from 'zod';
import { KUBECONFIG_TYPE } from '../../core/kinds.ts';

const Kubeconfig = z.looseObject({
  clusters: z
    .array(
      z.looseObject({
        name: z.string(),
        cluster: z.looseObject({
          server: z.url({ protocol: /^https$/ }),
          'certificate-authority-data': z.base64(),
        }),
      }),
    )
    .min(1),
  users: z
    .array(z.looseObject({ name: z.string(), user: z.looseObject({ token: z.string().min(1) }) }))
    .min(1),
});
export type Kubeconfig = z.infer<typeof Kubeconfig>;

const Part = z.record(z.string(), z.unknown());
/** The one cluster and the one user in what k3s writes. */
export const AdminKubeconfig = z.looseObject({
  clusters: z.tuple([z.looseObject({ cluster: Part })]),
  users: z.tuple([z.looseObject({ user: Part })]),
});

export interface KubeconfigContent {
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  readonly token: string;
}

/** @param name what cluster, user and context are called */
export function renderKubeconfig(name: string, content: KubeconfigContent): string {
  const document = {
    ...KUBECONFIG_TYPE,
    clusters: [
      {
        name,
        cluster: {
          server: content.server,
          'certificate-authority-data': Buffer.from(content.ca).toString('base64'),
        },
      },
    ],
    users: [{ name, user: { token: content.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** @returns undefined when the text is not such a kubeconfig */
export function parseKubeconfig(text: string): KubeconfigContent | undefined {
  const parsed = Kubeconfig.safeParse(parseYaml(text));
  const cluster = parsed.data?.clusters[0]?.cluster;
  const user = parsed.data?.users[0]?.user;
  if (cluster === undefined || user === undefined) {
    return undefined;
  }
  return {
    server: cluster.server,
    ca: Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8'),
    token: user.token,
  };
}

function parseYaml(text: string): unknown {
  try {
    return Bun.YAML.parse(text);
  } catch {
    return undefined; // Not YAML: the answer is that it is not a kubeconfig.
  }
}

/**
 * When a ServiceAccount token was issued and when it ends, from its `iat` and `exp` claims (RFC
 * 7519 sections 4.1.6 and 4.1.4). Not verified: only used to choose and to renew our own tokens.
 * @returns seconds since 1970, or undefined when it is not such a token
 */
export function tokenTimes(token: string): { issuedAt: number; expiresAt: number } | undefined {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'),
    );
    const parsed = z.object({ iat: z.number(), exp: z.number() }).safeParse(claims);
    return parsed.success ? { issuedAt: parsed.data.iat, expiresAt: parsed.data.exp } : undefined;
  } catch {
    return undefined; // Not JSON: the answer is that it is not such a token.
  }
}
