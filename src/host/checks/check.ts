import type { AgentError, ErrorCode } from '../../core/errors.ts';
import type { Fact, Facts, MachineRole } from '../facts/fact.ts';
import type { FirewallRule } from '../firewall/rule.ts';

/** `blocks`: nothing is installed, and an installed machine is not all right. `warns`: it is said. */
export type Severity = 'blocks' | 'warns';

/**
 * `cheap`: reads a few files that anybody may read, of what may change while a machine runs: the daemon
 * looks every hour. `dear`: all else; when a person asks. `probe`: writes a little; `doctor` does,
 * and `install --ha` where etcd depends on it.
 */
export type Cost = 'cheap' | 'dear' | 'probe';

/** What is wrong here, and what helps. */
export interface Finding {
  readonly code: ErrorCode;
  readonly message: string;
  /** Only a warning here, where the check can also block. */
  readonly onlyWarns?: true;
  /** What to do, as a sentence. */
  readonly hint: string;
  /** Command lines that mend it, exactly as they are to be typed. */
  readonly fix?: string;
  /** What the repair of the check may do about it. */
  readonly rules?: readonly FirewallRule[];
  /** The same for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** It could not be looked at. */
export interface NotChecked {
  /** Why, as part of a sentence: `only root may read /etc/sudoers`. */
  readonly notChecked: string;
}

/** Of a finding that `doctor --fix` mends by the repair of its check. */
export const FIX_BY_DOCTOR = 'sudo pipeops-agent doctor --fix';

/** Looks whether one thing is as it must be. Changes nothing. */
export interface Check {
  /** As data names it, for ever: `memory`. It heads a section of docs/TROUBLESHOOTING.md. */
  readonly id: string;
  /** For a person, at most 26 characters: `Memory`. */
  readonly title: string;
  /** At worst. */
  readonly severity: Severity;
  readonly cost: Cost;
  /** How many steps on the way to other machines it waits for one after the other; absent for none. */
  readonly networkSteps?: number;
  /** Where it has something to say. */
  readonly roles: readonly MachineRole[];
  /** Why it matters: one or two sentences for a person, shown with a finding. */
  readonly why: string;
  /** What helps, for the page: Markdown, any length. */
  readonly remedy: string;
  /** The resource by which `doctor --fix` mends what is found: src/machine/repairs.ts. */
  readonly repair?: string;
  /** Read before it runs, side by side with those of all other checks. */
  readonly needs: readonly Fact<unknown>[];
  /**
   * @returns what is wrong; undefined where nothing is
   * @throws AgentError the finding, where what it looks with throws
   */
  run(facts: Facts): Promise<Finding | NotChecked | undefined>;
}

export const EVERYWHERE: readonly MachineRole[] = ['bare', 'server', 'worker'];
export const BARE: readonly MachineRole[] = ['bare'];

/** What a thrown error says, as a finding. */
export function findingOf({ code, message, hint, details }: AgentError): Finding {
  return { code, message, hint: hint ?? '', ...(details === undefined ? {} : { details }) };
}
