import type { InventoryEntry } from '../../protocol/files/host-state.ts';

/** One change of one thing, as a dry run shows it. */
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
  /** A path, a unit or a user: what a person would look for. */
  readonly target: string;
  /** Of a text that is known beforehand: what changes in it, as a unified diff without secrets. */
  readonly diff?: string;
}

/** A program and its arguments. Of none of these is any argument a secret. */
export type Command = readonly [string, ...string[]];

export type OwnEntry = InventoryEntry & {
  /** A directory that others use, too: its content is not removed with it. */
  readonly isShared?: true;
};

/** What is kept when an installation is removed. */
export interface UndoOptions {
  /** k3s and what runs in it. */
  readonly keepK3s: boolean;
  /** The daemon's directory: its identity, token and journal. */
  readonly keepData: boolean;
  /** The data of volumes too, and the password by which a worker could come back under its name. */
  readonly deleteData: boolean;
  /** The cluster knows this worker no more: that password is of no use, and goes. */
  readonly isForgotten?: boolean;
  /** The installation was never finished. Then what the cluster does not know yet is removed, too. */
  readonly isUnfinished: boolean;
}

/** Removes one thing. After it was killed half way it may be run again. */
export interface Removal {
  /** What is being done, for a person: "Remove file /etc/example". */
  readonly title: string;
  readonly changes: readonly Change[];
  /** What `run` runs, in order, if it is known beforehand. */
  readonly commands?: readonly Command[];
  /** Entries of the inventory that are gone afterwards. */
  readonly entries: readonly InventoryEntry[];
  /** Names of the originals that are put back afterwards (engine/originals.ts). */
  readonly originals?: readonly string[];
  /** The shared directory that this removes, if it removes one. It goes only when it is empty. */
  readonly shared?: string;
  /** Other paths that are gone afterwards, beside those in `changes`. */
  readonly alsoGone?: readonly string[];
  readonly run: () => Promise<void>;
}

/** Hears of a part of a step that took time of its own: what it was, how long it took. */
export type TellPart = (what: string, ms: number) => void;

/**
 * One thing on the machine and its whole life: how it is made and how it is removed. Every function may
 * be called any number of times.
 */
export interface Resource {
  readonly id: string;
  /** What is being done, for a person: "Install k3s". */
  readonly title: string;
  /** Paths and other things that it may change. */
  readonly touches: readonly string[];
  /** Every entry of the inventory that may belong to it. */
  readonly entries: readonly OwnEntry[];
  /** False where nobody asked for it this time. Then it stays as it is. */
  readonly isWanted: boolean;
  /** Whether all of it is in place already. Changes nothing. */
  isDone(): Promise<boolean>;
  /**
   * Records it in the inventory, then makes it.
   * @param update is told what is going on right now
   * @param tellPart is told of parts that were waited for
   */
  apply(update: (text: string) => void, tellPart: TellPart): Promise<void>;
  /** Whether it is in place after `apply`. Absent where `isDone` answers that. */
  verify?(): Promise<boolean>;
  /** What `apply` would change on this machine now. */
  changes(): Promise<readonly Change[]>;
  /** What `apply` would run to change this machine now, in order. Absent where it runs nothing. */
  commands?(): Promise<readonly Command[]>;
  /** The removals, in order, of what was made here according to the inventory. Changes nothing itself. */
  undo(how: UndoOptions): Promise<readonly Removal[]>;
}

/** The part of a resource that makes the thing. The rest is about its removal. */
export type Making = Pick<
  Resource,
  'isWanted' | 'isDone' | 'apply' | 'verify' | 'changes' | 'commands'
>;

/** For a resource that nobody asked for this time. */
export const LEFT_AS_IT_IS: Making = {
  isWanted: false,
  isDone: async () => true,
  apply: async () => undefined,
  changes: async () => [],
};

/** For a resource that leaves nothing behind, or that is removed together with another one. */
export const LEAVES_NOTHING: Pick<Resource, 'entries' | 'undo'> = {
  entries: [],
  undo: async () => [],
};
