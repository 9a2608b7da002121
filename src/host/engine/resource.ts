import type { InventoryEntry } from '../../protocol/files/host-state.ts';

/** What is done to one thing, as a dry run tells it. */
export interface Change {
  readonly action:
    | 'create'
    | 'change'
    | 'keep'
    | 'remove'
    | 'restore'
    | 'start'
    | 'restart'
    | 'stop';
  /** A path, a unit, a user: what a person would look for. */
  readonly target: string;
}

export type OwnEntry = InventoryEntry & {
  /** A directory of everybody: what is in it does not go with it. */
  readonly isShared?: true;
};

/** What stays when things are taken away. */
export interface UndoOptions {
  /** k3s and what runs in it. */
  readonly keepK3s: boolean;
  /** The daemon's directory: its identity, token and journal. */
  readonly keepData: boolean;
  /** Not even what a worker needs to come back under its name. */
  readonly deleteData: boolean;
  /** The installation never came to its end: what the cluster does not know yet goes, too. */
  readonly isUnfinished: boolean;
}

/** One thing that is taken away. It may be done again after it was killed half way. */
export interface Removal {
  /** What is being done, for a person: "Remove file /etc/example". */
  readonly title: string;
  readonly changes: readonly Change[];
  /** What of the inventory is gone afterwards. */
  readonly entries: readonly InventoryEntry[];
  /** What is as it was before us afterwards, by its name (engine/originals.ts). */
  readonly originals?: readonly string[];
  /** A directory that others use, too, where this removes one: it goes only when nothing is left in it. */
  readonly shared?: string;
  /** What goes with it beside what `changes` tells. */
  readonly alsoGone?: readonly string[];
  readonly run: () => Promise<void>;
}

/**
 * One thing on the machine, and its whole life: how it is made, and how it is taken away. All functions
 * may be called any number of times.
 */
export interface Resource {
  readonly id: string;
  /** What is being done, for a person: "Install k3s". */
  readonly title: string;
  /** What it touches, wherever it runs. */
  readonly touches: readonly string[];
  /** Everything of the inventory that can be its. */
  readonly entries: readonly OwnEntry[];
  /** False where nobody asked for it this time: then it is left as it is. */
  readonly isWanted: boolean;
  /** Whether all of it is in place already. Changes nothing. */
  isDone(): Promise<boolean>;
  /** Makes it; records it in the inventory before. @param update tells what is going on right now */
  apply(update: (text: string) => void): Promise<void>;
  /** Whether it is in place after `apply`; `isDone` where that is the same question. */
  verify?(): Promise<boolean>;
  /** What `apply` would do on this machine as it is. */
  changes(): Promise<readonly Change[]>;
  /** What takes it away, in order: only what the inventory says was made here. Changes nothing yet. */
  undo(how: UndoOptions): Promise<readonly Removal[]>;
}

/** How a thing is made; the rest of a resource is how it is taken away. */
export type Making = Pick<Resource, 'isWanted' | 'isDone' | 'apply' | 'verify' | 'changes'>;

/** Of what nobody asked for this time. */
export const LEFT_AS_IT_IS: Making = {
  isWanted: false,
  isDone: async () => true,
  apply: async () => undefined,
  changes: async () => [],
};

/** Of what leaves nothing behind, or goes with something else. */
export const LEAVES_NOTHING: Pick<Resource, 'entries' | 'undo'> = {
  entries: [],
  undo: async () => [],
};
