/**
 * The only list of settings. From it come the flags, the environment names, the validation of the
 * file, `config show` and docs/config.md. Keep it short: each setting is a promise.
 * No secret is a setting; secrets live in files of their own.
 */
import * as z from 'zod';
import { parseDuration } from '../core/text/duration.ts';
import { withoutEnd } from '../core/text/without-end.ts';
import { ClusterNetworks } from './cluster-networks.ts';
import {
  NodeAddresses,
  NodeLabels,
  NodeName,
  NodeTaints,
  ServerName,
  ServerNames,
} from './node-settings.ts';
import { isOwnEndpoint, NOT_ENDPOINT } from './own-endpoint.ts';
import { RegistryMirrors } from './registry-mirrors.ts';

export interface SettingMeta {
  readonly description: string;
  /** Name of the flag, without dashes; absent where only file or environment make sense. */
  readonly flag?: string;
  readonly env?: string;
  /** A worker does not read it: `join` has no such flag. */
  readonly serverOnly?: true;
  /** Placeholder for its value in the help, when its type does not say it: FILE. */
  readonly valueHint?: string;
  /**
   * Left out, it leaves the machine less protected: a key that nearly names it is refused, unless it
   * is set as well. No setting of a later version may have a name that is so near.
   */
  readonly protects?: true;
  /** Version in which it came. */
  readonly since: string;
  readonly [key: string]: unknown;
}

/** A schema that remembers in its type what its meta says: flags are typed by that. */
export interface Described<M extends SettingMeta> {
  readonly [DESCRIBED]?: M;
}
declare const DESCRIBED: unique symbol;

function setting<S extends z.ZodType, const M extends SettingMeta>(
  schema: S,
  meta: M,
): S & Described<M> {
  return schema.meta(meta);
}

/** A duration with its unit, kept as text: `30s`. Read it with `durationMs`. */
function duration(minMs: number, maxMs: number) {
  return z.string().refine(
    (text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= minMs && ms <= maxMs;
    },
    { error: `must be a duration such as "30s", from ${minMs} ms to ${maxMs} ms` },
  );
}

/** Milliseconds of a validated duration setting. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new RangeError(`Cannot read the duration "${text}"`);
  }
  return ms;
}

/** One text, as it always was: a file of an earlier version has one address. */
const mirrorList = z
  .string()
  .refine((text) => k3sMirrors(text).length > 0 && k3sMirrors(text).every(isWebAddress), {
    error: 'must be https:// addresses, comma-separated',
  });

/** The addresses of a list of mirrors. */
export function k3sMirrors(text: string): readonly string[] {
  return text
    .split(/[,\s]+/)
    .filter((each) => each !== '')
    .map((each) => withoutEnd(each, '/'));
}

function isWebAddress(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}

const absolutePath = z.string().startsWith('/', 'must be an absolute path');

const AgentSection = z.strictObject({
  role: setting(z.enum(['server', 'node']).default('server'), {
    description:
      'server: speaks for the cluster to the control plane, or stands by to; node: health and facts of a worker',
    since: '0.1.0',
  }),
  id: setting(
    z
      .string()
      // It is part of paths in addresses, where ".." would mean another path.
      .regex(
        /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$/,
        'must be at most 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
      )
      .default(''),
    {
      description: 'Name of this agent at the control plane; made once when empty',
      flag: 'agent-id',
      env: 'PIPEOPS_AGENT_ID',
      serverOnly: true,
      since: '0.1.0',
    },
  ),
  labels: setting(z.record(z.string(), z.string()).default({}), {
    description: 'Labels sent at registration',
    since: '0.1.0',
  }),
  base_url: setting(
    z.url({ protocol: /^https?$/, error: 'must be an https:// address' }).optional(),
    {
      description:
        'Where this program came from, and where "upgrade" asks; "token create" sends further machines there. https://get.pipeops.dev/agent when absent',
      env: 'PIPEOPS_BASE_URL',
      since: '0.3.0',
    },
  ),
});

const ClusterSection = z.strictObject({
  name: setting(
    z
      .string()
      .regex(
        /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/,
        'must be 1 to 63 letters, digits, ".", "_" or "-"',
      )
      .default(''),
    {
      description: "Name of the cluster at the control plane; the machine's name when empty",
      flag: 'cluster-name',
      env: 'CLUSTER_NAME',
      serverOnly: true,
      since: '0.1.0',
    },
  ),
});

const ControlPlaneSection = z.strictObject({
  url: setting(
    z
      .url({ protocol: /^https?$/, error: 'must be an https:// address' })
      .default('https://api.pipeops.io'),
    {
      description: 'Address of the control plane',
      flag: 'api-url',
      env: 'PIPEOPS_API_URL',
      serverOnly: true,
      protects: true,
      since: '0.1.0',
    },
  ),
  transport: setting(z.enum(['auto', 'websocket', 'rest']).default('auto'), {
    description:
      'How the session is carried; auto prefers the WebSocket and falls back to REST polling',
    flag: 'transport',
    serverOnly: true,
    since: '0.2.0',
  }),
  proxy: setting(
    z
      .string()
      .regex(
        /^((https?|socks5h?):\/\/)?[^\s/@]+\/?$/,
        'must be http://, https:// or socks5://host[:port], without user and password',
      )
      .optional(),
    {
      description:
        'Proxy to the control plane. Its user:password is no setting: it stands in credentials/proxy of the state directory',
      env: 'HTTPS_PROXY',
      since: '0.2.0',
    },
  ),
  no_proxy: setting(z.string().optional(), {
    description: 'Hosts that are reached without the proxy, comma-separated',
    env: 'NO_PROXY',
    since: '0.2.0',
  }),
  ca_file: setting(absolutePath.optional(), {
    description:
      'Certificates (PEM) to trust: for the control plane instead of the public ones, for downloads and registries beside them',
    flag: 'ca-file',
    valueHint: 'FILE',
    env: 'PIPEOPS_CA_FILE',
    protects: true,
    since: '0.1.0',
  }),
  allow_insecure: setting(z.boolean().default(false), {
    description:
      'Allow http:// to a host that is not loopback: others on the way can read and change all of it',
    flag: 'allow-insecure',
    serverOnly: true,
    since: '0.1.0',
  }),
  gateway_hosts: setting(
    z
      .array(
        z
          .string()
          .regex(
            /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^\[[0-9A-Fa-f:.]+\]$/,
            'must be a host name, an address or *.domain, without scheme and port',
          ),
      )
      .optional(),
    {
      description:
        'Hosts that may be a gateway of the control plane, as gw.example.com or *.example.com; any when absent',
      protects: true,
      since: '0.3.0',
    },
  ),
  heartbeat_interval: setting(duration(1_000, 300_000).default('30s'), {
    description: 'Time between heartbeats',
    since: '0.1.0',
  }),
  status_interval: setting(duration(1_000, 3_600_000).default('60s'), {
    description: 'Time between cluster status reports',
    since: '0.1.0',
  }),
  poll_interval: setting(duration(500, 300_000).default('5s'), {
    description: 'Time between fetches of commands, ± 20 %',
    since: '0.1.0',
  }),
});

const CORS_ORIGINS_MAX = 32;

const HttpSection = z.strictObject({
  port: setting(z.int().min(0).max(65_535).default(8080), {
    description: 'Port of the HTTP server on 127.0.0.1; 0 lets the system choose',
    flag: 'port',
    env: 'PIPEOPS_PORT',
    since: '0.1.0',
  }),
  tls_port: setting(z.int().min(0).max(65_535).default(8443), {
    description: 'Port of the TLS listener for kubectl on 127.0.0.1; 0 lets the system choose',
    flag: 'tls-port',
    serverOnly: true,
    since: '0.1.0',
  }),
  cors_origins: setting(
    z
      .array(
        z.string().refine((text) => isWebAddress(text) && URL.parse(text)?.origin === text, {
          error: 'must be an origin such as https://ops.example.com: no path, no "*"',
        }),
      )
      .max(CORS_ORIGINS_MAX)
      .default([]),
    {
      description:
        'Origins whose pages may ask the local API with the local token, as https://ops.example.com; none when absent',
      since: '0.3.0',
    },
  ),
});

const K3sSection = z.strictObject({
  version: setting(
    z
      .string()
      .regex(/^v\d+\.\d+\.\d+(-[a-z0-9.]+)?\+k3s\d+$/, 'must be a k3s version such as v1.36.3+k3s1')
      .optional(),
    {
      description: 'Version of k3s that a first installation takes; the stable channel when absent',
      flag: 'k3s-version',
      env: 'K3S_VERSION',
      since: '0.1.0',
    },
  ),
  mirror: setting(mirrorList.optional(), {
    description:
      "Where k3s comes from, in the shape of k3s' own download places; several, comma-separated, are tried in turn",
    flag: 'k3s-mirror',
    env: 'PIPEOPS_K3S_MIRROR',
    since: '0.1.0',
  }),
  proxy: setting(z.enum(['containerd', 'all', 'none']).default('containerd'), {
    description:
      'What of k3s uses the proxy: containerd, which pulls images; all of k3s; or none of it',
    flag: 'k3s-proxy',
    since: '0.3.0',
  }),
  registry_mirrors: setting(RegistryMirrors.default([]), {
    description:
      'Mirrors that images are pulled from: docker.io=https://mirror.example; without a name, of docker.io',
    flag: 'registry-mirror',
    valueHint: '[HOST=]URL',
    since: '0.3.0',
  }),
  embedded_registry: setting(z.boolean().default(false), {
    description:
      'Let the nodes hand images to each other (Spegel of k3s, port 5001); worth it from some four nodes on. A node that joins follows its server',
    flag: 'embedded-registry',
    since: '0.3.0',
  }),
  profile: setting(z.enum(['standard', 'lite']).default('standard'), {
    description:
      'lite: for machines with 1 GB; without load balancer, metrics and traefik, and with room kept for the system',
    flag: 'profile',
    since: '0.3.0',
  }),
  traefik: setting(z.boolean().default(false), {
    description: 'Let k3s install its traefik ingress controller; k3s is restarted for it',
    flag: 'traefik',
    serverOnly: true,
    since: '0.1.0',
  }),
  ha: setting(z.boolean().default(false), {
    description:
      "Keep the cluster's data in etcd, for several servers, and not in SQLite; for good, as k3s moves data only that way",
    flag: 'ha',
    serverOnly: true,
    since: '0.3.0',
  }),
  cluster_cidr: setting(ClusterNetworks.default([]), {
    description:
      'Network of pods, for good once the cluster is there: one, or one of IPv4 and one of IPv6; 10.42.0.0/16, or a free one, when absent',
    flag: 'cluster-cidr',
    valueHint: 'CIDR',
    serverOnly: true,
    since: '0.3.0',
  }),
  service_cidr: setting(ClusterNetworks.default([]), {
    description:
      'Network of Services, of the same versions of IP; 10.43.0.0/16, or a free one, when absent',
    flag: 'service-cidr',
    valueHint: 'CIDR',
    serverOnly: true,
    since: '0.3.0',
  }),
  tls_san: setting(ServerNames.default([]), {
    description:
      'Further names and addresses by which the Kubernetes API is reached, for its certificate: repeated or comma-separated',
    flag: 'tls-san',
    valueHint: 'NAME',
    serverOnly: true,
    since: '0.3.0',
  }),
  server_address: setting(ServerName.optional(), {
    description:
      'Fixed name or address of the servers, as of a load balancer in front of port 6443: join tokens name it first',
    flag: 'server-address',
    valueHint: 'NAME',
    serverOnly: true,
    since: '0.3.0',
  }),
  node_name: setting(NodeName.optional(), {
    description:
      "Name of this machine's node, for good once it is a node; the machine's name when absent",
    flag: 'node-name',
    env: 'K3S_NODE_NAME',
    since: '0.3.0',
  }),
  node_labels: setting(NodeLabels.default([]), {
    description: 'Labels that the node registers with: key=value, repeated or comma-separated',
    flag: 'node-label',
    since: '0.3.0',
  }),
  node_taints: setting(NodeTaints.default([]), {
    description:
      'Taints that the node registers with: key=value:NoSchedule, repeated or comma-separated',
    flag: 'node-taint',
    since: '0.3.0',
  }),
  node_ip: setting(NodeAddresses.default([]), {
    description: 'Address of this machine in the cluster; one of IPv4 and one of IPv6 for both',
    flag: 'node-ip',
    since: '0.3.0',
  }),
});

const FactsSection = z.strictObject({
  metadata: setting(z.boolean().default(true), {
    description:
      'Ask the metadata service of the cloud that this machine is in for its region, id and public address',
    since: '0.3.0',
  }),
});

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const SnapshotsSection = z.strictObject({
  every: setting(z.union([z.literal('never'), duration(HOUR_MS, 31 * DAY_MS)]).default('1d'), {
    description: "How often a server makes a snapshot of the cluster's data by itself, or never",
    serverOnly: true,
    since: '0.3.0',
  }),
  keep: setting(z.int().min(1).max(1_000).default(7), {
    description: 'How many of these are kept, and as many of those that the control plane has made',
    serverOnly: true,
    since: '0.3.0',
  }),
  keep_for: setting(duration(HOUR_MS, 3_650 * DAY_MS).default('30d'), {
    description: 'How old they may become; the newest stays whatever its age',
    serverOnly: true,
    since: '0.3.0',
  }),
  copy_to: setting(absolutePath.optional(), {
    description: 'A directory on another disk or machine, to which each snapshot is copied',
    serverOnly: true,
    since: '0.3.0',
  }),
  s3_endpoint: setting(
    z.url({ protocol: /^https?$/, error: 'must be an https:// address' }).optional(),
    {
      description: 'A store that speaks S3, to which each snapshot is copied',
      serverOnly: true,
      since: '0.3.0',
    },
  ),
  s3_bucket: setting(
    z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
      .optional(),
    { description: 'The bucket in it, which is there already', serverOnly: true, since: '0.3.0' },
  ),
  s3_region: setting(
    z
      .string()
      .regex(/^[a-z0-9-]{1,63}$/)
      .default('us-east-1'),
    {
      description: 'Its region',
      serverOnly: true,
      since: '0.3.0',
    },
  ),
  s3_credentials_file: setting(absolutePath.optional(), {
    description:
      "Root's file with `access_key_id: …` and `secret_access_key: …`, which nobody else can read",
    serverOnly: true,
    since: '0.3.0',
  }),
});

const MetricsSection = z.strictObject({
  listen: setting(z.string().refine(isOwnEndpoint, { error: NOT_ENDPOINT }).optional(), {
    description:
      'An address of this machine and a port, as 10.0.0.5:9464, at which /metrics is answered over TLS; at none when absent',
    since: '0.3.0',
  }),
  client_ca_file: setting(absolutePath.optional(), {
    description:
      'Certificates (PEM): whoever asks there must have one of theirs, in place of the token',
    valueHint: 'FILE',
    protects: true,
    since: '0.3.0',
  }),
});

const DebugSection = z.strictObject({
  profiling: setting(z.boolean().default(false), {
    description:
      'Let who may ask the local API take profiles and snapshots of the heap, and log what stops the agent for more than 50 ms; needs about 1 % of a processor',
    since: '0.3.0',
  }),
});

const TracesSection = z.strictObject({
  endpoint: setting(
    z
      .url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' })
      .refine((text) => !text.includes('@'), { error: 'must have no user and password' })
      .optional(),
    {
      description:
        'Where traces of commands and requests are sent (OTLP/HTTP), as http://collector:4318/v1/traces; none are made when absent',
      since: '0.3.0',
    },
  ),
  headers_file: setting(absolutePath.optional(), {
    description:
      'A file with headers for the collector, `Name: value` a line, that root and the agent alone can read: they may hold a secret. They are sent over https:// only, or to this machine',
    valueHint: 'FILE',
    since: '0.3.0',
  }),
  request_percent: setting(z.int().min(0).max(100).default(1), {
    description:
      'Of 100 proxied requests whose caller traces nothing, how many are traced; commands, and requests of callers who do, always are',
    since: '0.3.0',
  }),
});

const LogSection = z.strictObject({
  level: setting(z.enum(['error', 'warn', 'info', 'debug']).default('info'), {
    description: 'Least important level that is logged',
    flag: 'log-level',
    env: 'LOG_LEVEL',
    since: '0.1.0',
  }),
  format: setting(z.enum(['text', 'json']).default('text'), {
    description: 'text: lines for the journal; json: one object a line',
    flag: 'log-format',
    since: '0.1.0',
  }),
});

/** `.prefault({})` lets a section be absent and still get the defaults of its fields. */
export const Config = z.strictObject({
  agent: AgentSection.prefault({}),
  cluster: ClusterSection.prefault({}),
  control_plane: ControlPlaneSection.prefault({}),
  http: HttpSection.prefault({}),
  k3s: K3sSection.prefault({}),
  facts: FactsSection.prefault({}),
  snapshots: SnapshotsSection.prefault({}),
  log: LogSection.prefault({}),
  metrics: MetricsSection.prefault({}),
  debug: DebugSection.prefault({}),
  traces: TracesSection.prefault({}),
});
export type Config = z.output<typeof Config>;
/** What a file may hold: everything optional. */
export type ConfigInput = z.input<typeof Config>;
