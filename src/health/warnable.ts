import { type AgentError, toAgentError } from '../core/errors.ts';
import type { HealthFacts } from './facts.ts';

/** `blocks`: the agent is not ready meanwhile. `warns`: it is, and a person should know. */
export type Severity = 'blocks' | 'warns';

/** What is wrong now. */
export interface Problem {
  /** What it is about, where there can be several at once: a node, a check. */
  readonly about?: string;
  /** A code with a section in docs/TROUBLESHOOTING.md. */
  readonly code: string;
  /** One sentence; its numbers and times may change while it lasts. */
  readonly message: string;
  /** What to do, as a sentence. */
  readonly hint?: string;
}

/** Something that can be wrong with the agent, its machine or its cluster. */
export interface Warnable {
  /** As data names it, for ever: `session`. It heads a section of docs/TROUBLESHOOTING.md. */
  readonly id: string;
  /** For a person, at most 26 characters: `Session`. */
  readonly title: string;
  readonly severity: Severity;
  /**
   * Ids of what can be its cause: it is not shown while one of them is. Each is at least as severe, and
   * visible at least as soon, so that what is wrong is never hidden without a reason that is shown.
   */
  readonly dependsOn: readonly string[];
  /** It is shown once it has lasted this long, and is over at once, ms. */
  readonly visibleAfterMs: number;
  /** Why it matters, for a person. */
  readonly why: string;
  /** What helps, for the page: Markdown, any length. */
  readonly remedy: string;
  readonly find: (facts: HealthFacts) => readonly Problem[];
}

/** What an error says, as a problem. */
export function problemOf(thrown: unknown): Problem {
  const { code, message, hint }: AgentError = toAgentError(thrown);
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** None, or the one that the error says. */
export function problemsOf(error: AgentError | undefined): readonly Problem[] {
  return error === undefined ? [] : [problemOf(error)];
}
