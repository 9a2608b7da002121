/**
 * What subcommands print with `--json`, by their names: the fields are a promise, and docs/CLI.md is made from them. A
 * later version may have more. An error is one document as well: `ErrorDocument`.
 */
import * as z from 'zod';
import { Asked } from './files/asked.ts';
import { BundleManifest } from './files/bundle.ts';
import { SnapshotHeader } from './files/snapshot.ts';
import { DashboardLink, DetailedHealth, HealthAnswer } from './local-api.ts';
import { NodeUsageRow, PodUsageRow, WorkloadSummary } from './local-cluster.ts';
import { CancelAnswer, CommandAnswer, CommandsAnswer } from './local-commands.ts';
import { LogLine } from './local-realtime.ts';
import { TunnelStreamRow } from './local-routes.ts';
import { LogLevelAnswer } from './local-status.ts';

const texts = z.array(z.string());
const maybe = z.string().nullable();
const K3sRole = z.enum(['server', 'agent']);

export const ErrorDocument = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});

const Networks = z.object({ pods: texts, services: texts, because: texts });
const Spent = z.object({ title: z.string(), seconds: z.number() });
const FinishedStep = Spent.extend({ id: z.string(), changed: z.boolean(), parts: z.array(Spent) });
const Planned = z.object({
  title: z.string(),
  changes: z.array(
    z.object({ action: z.string(), target: z.string(), diff: z.string().optional() }),
  ),
  commands: z.array(texts),
});
const PlannedStep = Planned.extend({ id: z.string(), touches: texts, needed: z.boolean() });

const SetUp = z.object({
  version: z.string(),
  role: K3sRole,
  adopted: z.boolean(),
  node: z.string(),
  cluster_name: maybe,
  control_plane: maybe,
  networks: Networks.nullable(),
  files: texts,
  ports: z.array(z.number()),
  units: texts,
  checks: z.array(Spent),
  steps: z.array(FinishedStep),
  seconds: z.number(),
});
/** With `--dry-run`. */
const SetUpPlan = z.object({
  plan: z.array(PlannedStep),
  adoption: z
    .object({
      k3s: z.object({
        role: K3sRole,
        unit: z.string(),
        state: z.string(),
        version: maybe,
        settings: texts,
      }),
      node: z.string(),
      in_cluster_agent: z.object({ takes_over: texts }).nullable(),
    })
    .optional(),
  networks: Networks.nullable(),
});

const Volume = z.object({ path: z.string(), claim: maybe, bytes: z.number().nullable() });
/** What only another version knows, with all that it wrote of it. */
const Left = z.array(z.looseObject({ kind: z.string(), name: z.string() }));
const Kept = { kept: texts, left: Left };
const WayOut = z.object({ default_route: maybe, asked: maybe, names: z.boolean().nullable() });
const Network = z.object({ before: WayOut, after: WayOut });
const Removal = z.object({
  removed: texts,
  ...Kept,
  volumes: z.array(Volume),
  workers: texts,
  listed_node: maybe,
  network: Network,
  control_plane: z
    .object({
      control_plane: z.string(),
      agent_id: maybe,
      cluster_name: maybe,
      told: z.boolean(),
    })
    .nullable(),
});
/** With `--dry-run`. */
const RemovalPlan = z.object({ plan: z.array(Planned), ...Kept, volumes: z.array(Volume) });
const Leave = z.object({
  removed: texts,
  ...Kept,
  node: z.string(),
  evicted: texts,
  deleted: texts,
  taken_out: z.boolean(),
  volumes: z.array(Volume),
  network: Network,
});
/** With `--dry-run`. */
const LeavePlan = RemovalPlan.extend({
  node: z.string(),
  pods: z.array(z.object({ pod: z.string(), action: z.string(), reason: z.string() })),
  warnings: texts,
});

const Diagnosis = z.object({
  ok: z.boolean(),
  role: z.enum(['bare', 'server', 'worker']),
  assumed: maybe,
  fixed: texts,
  seconds: z.number(),
  checks: z.array(
    z.object({
      id: z.string(),
      title: z.string(),
      severity: z.enum(['blocks', 'warns']),
      why: z.string(),
      state: z.enum(['ok', 'found', 'not-checked']),
      finding: z
        .object({
          code: z.string(),
          message: z.string(),
          hint: z.string(),
          onlyWarns: z.literal(true).optional(),
          fix: z.string().optional(),
          rules: z.array(z.unknown()).optional(),
          details: z.record(z.string(), z.unknown()).optional(),
        })
        .optional(),
      because: z.string().optional(),
    }),
  ),
});

const Bundle = z.object({
  path: z.string(),
  size_bytes: z.number(),
  agent_version: z.string(),
  k3s_version: z.string(),
  ...BundleManifest.pick({ created: true, architecture: true, images: true }).shape,
  files: z.array(z.object({ name: z.string(), size_bytes: z.number(), sha256: z.string() })),
});

const Snapshot = SnapshotHeader.pick({
  ...{ name: true, kind: true, created: true, node: true, datastore: true },
  ...{ k3s: true, cluster: true, key_id: true },
}).extend({ path: z.string(), bytes: z.number() });
const Restore = z.object({
  snapshot: SnapshotHeader,
  same_cluster: z.boolean(),
  node: z.string(),
  kept_in: z.string(),
  steps: texts,
});

const Hold = z.object({ pin: maybe, paused_until: maybe });
const AgentUpgrade = z.union([
  z.object({
    changed: z.literal(true),
    kind: z.string(),
    from: z.string(),
    version: z.string(),
    took_ms: z.number(),
  }),
  z.object({ changed: z.literal(false), from: z.string(), version: z.string() }),
]);

const Deleted = z.object({ deleted: z.string() });
const OneAsked = Asked.shape.asked.element;

/** With `--undo` what `uninstall` tells. */
const SetUpOrUndo = z.union([SetUp, SetUpPlan, Removal, RemovalPlan]);

export const JSON_DOCUMENTS = {
  install: SetUpOrUndo,
  join: SetUpOrUndo,
  'prepare-image': z.object({
    agent: z.string(),
    k3s: maybe,
    removed: texts,
    steps: z.union([z.array(FinishedStep), z.array(PlannedStep)]),
  }),
  'bundle create': Bundle,
  'bundle verify': Bundle,
  'bundle install': SetUpOrUndo,
  'token create': z.object({
    token: z.string(),
    id: z.string(),
    role: K3sRole,
    expires: z.string(),
    uses: z.number(),
    node: maybe,
    from: texts,
    servers: texts,
    line: z.string(),
    serve: z.object({ address: z.string(), unit: z.string() }).nullable(),
  }),
  'token list': z.object({
    tokens: z.array(
      z.object({
        id: z.string(),
        description: z.string(),
        expires: maybe,
        role: K3sRole,
        uses: z.number().nullable(),
        node: maybe,
        from: texts,
        used_by: texts,
      }),
    ),
  }),
  'token delete': Deleted,
  'token revoke': Deleted,
  'ha enable': z.union([SetUp, SetUpPlan]),
  status: DetailedHealth.extend({
    health: HealthAnswer.optional(),
    workloads: WorkloadSummary.optional(),
    /** On a server: how many streams of tunnels are open, and the newest 100 of them. */
    tunnels: z.object({ open: z.int(), streams: z.array(TunnelStreamRow) }).optional(),
    k3s: z
      .object({
        unit: z.string(),
        state: z.string(),
        version: maybe,
        certificates: z.object({ end: z.string(), authority: z.string() }).nullable(),
      })
      .optional(),
    upgrades: Hold.optional(),
  }),
  dashboard: DashboardLink,
  /** One each line. */
  logs: LogLine,
  'log-level': LogLevelAnswer,
  top: z.object({ nodes: z.array(NodeUsageRow), pods: z.array(PodUsageRow).nullable() }),
  'commands list': z.object({ commands: CommandsAnswer.shape.items }),
  'commands show': CommandAnswer,
  'commands cancel': CancelAnswer.extend({ id: z.string() }),
  doctor: Diagnosis,
  'health-check': Diagnosis,
  'support-bundle': z.object({
    file: z.string(),
    size_bytes: z.number(),
    parts: z.array(
      z.object({ name: z.string(), what: z.string(), size_bytes: z.number(), problem: maybe }),
    ),
  }),
  'cluster-info': z.object({
    servers: texts,
    k3s_version: maybe,
    nodes: z.array(
      z.object({
        name: z.string(),
        ready: z.boolean(),
        role: z.enum(['server', 'worker']),
        address: maybe,
        version: z.string(),
        architecture: z.string(),
      }),
    ),
    cloud: z
      .object({
        provider: z.string(),
        region: maybe,
        zone: maybe,
        instance_id: maybe,
        instance_type: maybe,
        public_address: maybe,
      })
      .nullable(),
  }),
  'config show': z.object({
    settings: z.array(
      z.object({
        setting: z.string(),
        value: z.unknown(),
        source: z.enum(['flag', 'env', 'file', 'default']),
        in_force: z.boolean().nullable(),
        note: maybe,
      }),
    ),
    warnings: texts,
  }),
  'policy show': z.object({
    preset: z.string(),
    file: maybe,
    rules: z.array(z.object({ rule: z.string(), meaning: z.string() })),
  }),
  'policy presets': z.object({
    presets: z.array(
      z.object({
        name: z.string(),
        summary: z.string(),
        allows: z.record(z.string(), z.boolean()),
      }),
    ),
  }),
  'policy apply': z.object({
    preset: z.string(),
    file: maybe,
    previous_preset: maybe,
    previous_file_kept_as: maybe,
    in_force: z.boolean(),
    other_servers: texts,
  }),
  'host asked': Asked.pick({ asked: true }),
  'host approve': OneAsked,
  'host refuse': OneAsked,
  'snapshot create': Snapshot,
  'snapshot list': z.union([
    z.object({ snapshots: z.array(Snapshot) }),
    /** With `--copies`. */
    z.object({
      copies: z.array(
        SnapshotHeader.pick({ name: true, kind: true, created: true }).extend({
          from: z.string(),
          place: z.string(),
        }),
      ),
    }),
  ]),
  'snapshot delete': Deleted,
  'snapshot check': z.object({
    name: z.string(),
    created: z.string(),
    restorable: z.literal(true),
  }),
  'snapshot fetch': Snapshot,
  'snapshot run': z.object({
    done: texts,
    problems: z.array(z.object({ code: z.string(), message: z.string() })),
  }),
  'snapshot restore': Restore,
  'snapshot rejoin': Restore.pick({ node: true, kept_in: true, steps: true }).extend({
    server: z.string(),
  }),
  upgrade: z.union([...AgentUpgrade.options, Hold]),
  rollback: AgentUpgrade,
  'upgrade k3s': z.object({
    to: z.string(),
    nodes: z.array(
      z.object({
        node: z.string(),
        role: z.enum(['server', 'worker']),
        from: z.string(),
        took_ms: z.number().nullable(),
      }),
    ),
    steps: texts,
  }),
  leave: z.union([Leave, LeavePlan]),
  uninstall: z.union([Removal, RemovalPlan]),
  version: z.object({
    version: z.string(),
    commit: z.string(),
    committedAt: z.string().optional(),
    bun: z.string(),
  }),
} as const;

export type DocumentName = keyof typeof JSON_DOCUMENTS;
export type JsonDocument<Name extends DocumentName> = z.infer<(typeof JSON_DOCUMENTS)[Name]>;
