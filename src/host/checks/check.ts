import type { AgentError, ErrorCode } from '../../core/errors.ts';
import type { Fact, Facts } from '../facts/fact.ts';

/** `blocks`: nothing is changed on this machine. `warns`: it is said, and work goes on. */
export type Severity = 'blocks' | 'warns';

/** What is wrong, and what helps. */
export interface Finding {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  /** A command line that mends it. */
  readonly fix?: string;
  /** The same for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Looks whether one thing is as it must be. Changes nothing. */
export interface Check {
  /** As data names it: `memory`. */
  readonly id: string;
  /** For a person: `Memory`. */
  readonly title: string;
  readonly severity: Severity;
  /** Read before it runs, side by side with those of all other checks. */
  readonly needs: readonly Fact<unknown>[];
  /**
   * @returns what is wrong; undefined where nothing is
   * @throws AgentError the finding, where what it looks with throws
   */
  run(facts: Facts): Promise<Finding | undefined>;
}

/** What a thrown error says, as a finding. */
export function findingOf({ code, message, hint, details }: AgentError): Finding {
  return { code, message, hint: hint ?? '', ...(details === undefined ? {} : { details }) };
}
