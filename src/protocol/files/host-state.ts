/**
 * Root's own files in /var/lib/pipeops-agent-host. Another version of the agent may have written them. So
 * they may contain more than this version knows, and that is kept when a file is written again.
 */
import { posix } from 'node:path';
import * as z from 'zod';
import { AGENT_USER, type Places } from '../../core/places.ts';

const INVENTORY_KINDS = [
  'file',
  'directory',
  'link',
  'unit',
  'user',
  'group',
  'k3s',
  'adopted-k3s',
  'ufw-rule',
  'boot-argument',
  'firewalld-rule',
] as const;

/**
 * One thing that was made on this machine. `name` is a path, the name of a user, or the role of
 * k3s (`server`, `agent`). `adopted-k3s` is a k3s that was here before us: it is never removed, and an
 * older version, which does not know the kind, leaves it alone as well. The rules of firewalls are named by
 * what their tools are given (src/host/firewall/rule.ts), and `boot-argument` is one that grubby was given.
 */
export interface InventoryEntry {
  readonly kind: (typeof INVENTORY_KINDS)[number];
  readonly name: string;
}

/** An entry that only another version knows how to remove. */
export type UnknownEntry = Readonly<Record<string, unknown>> & {
  readonly kind: string;
  readonly name: string;
};

/** Unit files of an administrator. Units that systemd generates have no file there. */
const UNIT_PATH =
  /^\/etc\/systemd\/system\/[\w@:\\-][\w.@:\\-]*\.(service|socket|timer|path|target|slice|mount)$/;
/** One range of addresses, that may ask for one range of ports. */
const UFW_RULE =
  /^allow from [\da-f.:]+(\/\d{1,3})?( to any port \d{1,5}(:\d{1,5})? proto (tcp|udp))?$/;
const FIREWALLD_RULE =
  /^zone=[\w.-]+ (source=[\da-f.:]+(\/\d{1,3})?|rich-rule=rule family="ipv[46]" source address="[\da-f.:]+(\/\d{1,3})?" port port="\d{1,5}(-\d{1,5})?" protocol="(tcp|udp)" accept)$/;
/** For each kind, whether this version knows how to remove a thing of that name. */
const KNOWN_NAMES: Readonly<Record<InventoryEntry['kind'], (name: string) => boolean>> = {
  file: isPlainPath,
  directory: isPlainPath,
  link: isPlainPath,
  unit: (name) => UNIT_PATH.test(name),
  user: (name) => name === AGENT_USER,
  group: (name) => name === AGENT_USER,
  k3s: (name) => name === 'server' || name === 'agent',
  'adopted-k3s': (name) => name === 'server',
  'boot-argument': (name) => /^cgroup_(memory=1|enable=memory)$/.test(name),
  'ufw-rule': (name) => UFW_RULE.test(name),
  'firewalld-rule': (name) => FIREWALLD_RULE.test(name),
};

/** @param places of the agent's own units, which a package may have in another directory */
export function isKnownEntry<T extends UnknownEntry>(
  places: Pick<
    Places,
    | 'unitFile'
    | 'helperSocketUnitFile'
    | 'k3sAskedTimerUnitFile'
    | 'k3sUpgradePathUnitFile'
    | 'snapshotsTimerUnitFile'
  >,
  entry: T,
): entry is T & InventoryEntry {
  const kind = INVENTORY_KINDS.find((each) => each === entry.kind);
  const ownUnits = [
    ...[places.unitFile, places.helperSocketUnitFile],
    ...[places.k3sAskedTimerUnitFile, places.k3sUpgradePathUnitFile],
    places.snapshotsTimerUnitFile,
  ];
  const isOwnUnit = kind === 'unit' && ownUnits.includes(entry.name);
  return kind !== undefined && (isOwnUnit || KNOWN_NAMES[kind](entry.name));
}

function isPlainPath(name: string): boolean {
  return name.startsWith('/') && !name.endsWith('/') && posix.normalize(name) === name;
}

/** The newest inventory that this version reads. The file's `v` is the oldest reader that may use it. */
export const INVENTORY_READER = 1;

/** The version of a file, whatever else is in it. */
export const StateVersion = z.looseObject({ v: z.int().min(1) });

export const Inventory = z.looseObject({
  v: z.int().min(1).max(INVENTORY_READER),
  entries: z.array(z.looseObject({ kind: z.string().min(1), name: z.string().min(1) })),
});
export type Inventory = z.infer<typeof Inventory>;

/** How far each step of an installation came, by its id. */
export const StepJournal = z.record(z.string(), z.unknown());
export type StepJournal = z.infer<typeof StepJournal>;

export const StepNote = z.looseObject({
  state: z.enum(['begun', 'done']),
  /** ISO time. */
  at: z.string(),
});
export type StepNote = z.infer<typeof StepNote>;

/** `sha256:HEX` of the texts that were written since, newest last; absent if nobody noted them. */
const written = z.array(z.string()).optional();

/** The earlier state of something. `nothing`: a shared directory that did not exist. */
export const Original = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('nothing'), name: z.string().min(1) }),
  z.looseObject({
    kind: z.literal('link'),
    name: z.string().min(1),
    target: z.string(),
    written,
  }),
  z.looseObject({
    kind: z.literal('directory'),
    name: z.string().min(1),
    mode: z.int(),
    uid: z.int(),
    gid: z.int(),
  }),
  z.looseObject({
    kind: z.literal('file'),
    name: z.string().min(1),
    text: z.string(),
    mode: z.int(),
    uid: z.int(),
    gid: z.int(),
    /** The content, if it is not UTF-8 and so cannot be in `text`. */
    base64: z.string().optional(),
    written,
  }),
  z.looseObject({
    kind: z.literal('tree'),
    name: z.string().min(1),
    /** What stood in that directory: each path, or a directory as a whole. */
    paths: z.array(z.string()),
    /** The directories above those paths. */
    directories: z.array(
      z.looseObject({ name: z.string(), mode: z.int(), uid: z.int(), gid: z.int() }),
    ),
  }),
  z.looseObject({ kind: z.literal('group'), name: z.string().min(1), gid: z.int() }),
]);
export type Original = z.infer<typeof Original>;

/** The newest file of originals that this version reads, as for the inventory. */
export const ORIGINALS_READER = 1;

export const Originals = z.looseObject({
  v: z.int().min(1).max(ORIGINALS_READER),
  originals: z.array(z.unknown()),
});
export type Originals = z.infer<typeof Originals>;

/** What every entry has, in any version. */
export const NamedThing = z.looseObject({ name: z.string().min(1) });
