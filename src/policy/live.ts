import { msUntilBeat } from '../core/beat.ts';
import { AgentError, toAgentError } from '../core/errors.ts';
import { oneAtATime } from '../core/one-at-a-time.ts';
import type { Clock, Files, Log } from '../core/ports.ts';
import type { Service } from '../core/service.ts';
import type { PolicyFile } from '../protocol/files/policy.ts';
import { type Policy, type PolicyDecision, type ReachPolicy, refused } from './decision.ts';
import { effectivePolicy } from './effective.ts';
import { policyOf } from './evaluate.ts';
import { parsePolicyFile, readPolicyText } from './read-file.ts';
import { stricterOf } from './stricter.ts';

/** How soon a changed file is taken up when nobody asks for it, ms. */
export const POLICY_RELOAD_MS = 2_000;

export interface LivePolicy extends Service {
  /** Decides by the file as it is now, and by what it is to keep to beside; may be handed out and kept. */
  readonly policy: Policy & ReachPolicy;
  /** The file in force; undefined while it cannot be used. */
  file(): PolicyFile | undefined;
  /**
   * Of this policy and the file the stricter counts from now on; undefined: the file alone.
   * @param other an error where it cannot be read: then everything is refused
   */
  keepTo(other: PolicyFile | AgentError | undefined): void;
  /** Why the file cannot be used, as long as it cannot: everything is refused meanwhile. */
  problem(): AgentError | undefined;
  /** Takes up the file as it is when this is called, or later. Resolves when it is in force. */
  reload(): Promise<void>;
}

interface Deps {
  readonly clock: Clock;
  readonly files: Files;
  readonly log: Log;
}

/**
 * The policy of this machine, read again when root changes it. A file that cannot be used refuses
 * everything: what root meant is unknown, and a wider policy than the one meant would be the worst
 * guess.
 */
export async function livePolicy(deps: Deps, path: string): Promise<LivePolicy> {
  let current = await load(deps, path);
  const read = async () => {
    const next = await load(deps, path, current);
    if (next.fingerprint !== current.fingerprint) {
      current = next;
      logState(deps.log, current);
    }
  };
  const reload = oneAtATime(read);
  logState(deps.log, current);
  let other: Parameters<LivePolicy['keepTo']>[0];
  let ofOther: (Policy & ReachPolicy) | undefined;
  const ofFile: Policy & ReachPolicy = {
    command: (request) => current.policy.command(request),
    isAsked: (verb) => current.policy.isAsked(verb),
    windowsAhead: (verb, now) => current.policy.windowsAhead(verb, now),
    access: (request) => current.policy.access(request),
    object: (object) => current.policy.object(object),
    reach: (namespace) => current.policy.reach(namespace),
    kubernetesApi: () => current.policy.kubernetesApi(),
    request: (method, target, upgrade) => current.policy.request(method, target, upgrade),
  };
  return {
    name: 'policy',
    policy: stricterOf(ofFile, () => ofOther),
    file: () => current.file,
    keepTo: (next) => {
      if (!Bun.deepEquals(other, next)) {
        other = next;
        ofOther = next && policyOfOther(next);
      }
    },
    problem: () => current.problem,
    reload,
    start: async (signal) => ({ done: repeat(deps.clock, reload, signal) }),
  };
}

async function repeat(clock: Clock, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (await clock.sleep(msUntilBeat(clock, POLICY_RELOAD_MS), signal)) {
    await work();
  }
}

interface Loaded {
  readonly policy: Policy & ReachPolicy;
  readonly file: PolicyFile | undefined;
  readonly problem: AgentError | undefined;
  /** What stood in the file; undefined where it cannot be read. */
  readonly text: string | undefined;
  /** Changes when the policy does. */
  readonly fingerprint: string;
  readonly preset: string;
}

/** @param before what was loaded last: the same text is not read again */
async function load(deps: Deps, path: string, before?: Loaded): Promise<Loaded> {
  let text: string | undefined;
  try {
    text = await readPolicyText(deps, path);
    if (before !== undefined && before.text === text) {
      return before;
    }
    const file = parsePolicyFile(text, path);
    const policy = policyOf(effectivePolicy(file));
    const fingerprint = JSON.stringify(file);
    return { text, policy, file, problem: undefined, fingerprint, preset: file.preset };
  } catch (thrown) {
    const problem = toAgentError(thrown);
    return {
      text,
      policy: refuseEverything(problem),
      file: undefined,
      problem,
      fingerprint: `${problem.code} ${problem.message}`,
      preset: 'none',
    };
  }
}

function policyOfOther(other: PolicyFile | AgentError): Policy & ReachPolicy {
  return other instanceof AgentError ? refuseEverything(other) : policyOf(effectivePolicy(other));
}

function refuseEverything(
  problem: AgentError,
  what = 'The policy file of this machine',
): Policy & ReachPolicy {
  const decision: PolicyDecision = refused(
    'file/invalid',
    `${what} cannot be used, so nothing is allowed [${problem.code}]`,
  );
  return {
    command: () => decision,
    isAsked: () => false, // Nothing is allowed.
    windowsAhead: () => undefined,
    access: () => decision,
    object: () => decision,
    reach: () => decision,
    kubernetesApi: () => decision,
    request: () => decision,
  };
}

function logState(log: Log, { problem, preset }: Loaded): void {
  if (problem === undefined) {
    log.info('policy in force', { preset });
  } else {
    log.error('the policy file cannot be used; everything is refused', {
      error_code: problem.code,
      error: problem.message,
    });
  }
}
