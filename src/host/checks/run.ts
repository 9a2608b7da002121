import { AgentError, expectedError } from '../../core/errors.ts';
import { withDeadline, within } from '../../core/waiting.ts';
import { type FactDeps, type Facts, factsOf } from '../facts/fact.ts';
import { type Check, type Finding, findingOf, type NotChecked, type Severity } from './check.ts';

/** Of one check, with the facts that it needs, where it asks no other machine. */
export const CHECK_LIMIT_MS = 2_500;
/** Of all together beyond the longest one: a person waits for it. */
const RUN_MARGIN_MS = 400;
/** Checks that run at once: more would only wait for the same disk. */
const CHECKS_AT_ONCE = 16;

export type Outcome =
  | { readonly state: 'ok' }
  | { readonly state: 'found'; readonly finding: Finding }
  | { readonly state: 'not-checked'; readonly because: string };

export interface CheckResult {
  readonly id: string;
  readonly title: string;
  /** Of what was found; at worst, where nothing was. */
  readonly severity: Severity;
  readonly why: string;
  readonly outcome: Outcome;
}

/**
 * Runs them side by side, whatever the others find. Results in the order of the checks.
 * @throws AgentError INTERRUPTED at the signal
 */
export async function runChecks(
  deps: FactDeps,
  checks: readonly Check[],
): Promise<readonly CheckResult[]> {
  const limitMs = Math.max(...checks.map((check) => limitMsOf(deps, check))) + RUN_MARGIN_MS;
  return await within(deps.clock, limitMs, deps.signal, async (signal) => {
    const facts = factsOf({ ...deps, signal });
    const results = new Map<Check, CheckResult>();
    const waiting = checks.values();
    const work = async () => {
      for (const check of waiting) {
        const { id, title, why } = check;
        const outcome = await outcomeOf({ ...deps, signal }, check, facts);
        results.set(check, { id, title, severity: severityOf(check, outcome), why, outcome });
      }
    };
    await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, work));
    return checks.flatMap((check) => results.get(check) ?? []);
  });
}

function severityOf(check: Check, outcome: Outcome): Severity {
  return outcome.state === 'found' && outcome.finding.onlyWarns === true ? 'warns' : check.severity;
}

function limitMsOf(
  { stepLimitMs }: Pick<FactDeps, 'stepLimitMs'>,
  { networkSteps }: Check,
): number {
  return networkSteps === undefined ? CHECK_LIMIT_MS : networkSteps * stepLimitMs;
}

async function outcomeOf(
  deps: Pick<FactDeps, 'clock' | 'uid' | 'signal' | 'stepLimitMs'>,
  check: Check,
  facts: Facts,
): Promise<Outcome> {
  const limit = { what: `the check "${check.id}"`, ms: limitMsOf(deps, check) };
  try {
    return await withDeadline(deps.clock, limit, deps.signal, () => look(deps, check, facts));
  } catch (thrown) {
    const error = expectedError(thrown);
    if (error.code === 'INTERRUPTED') {
      throw error;
    }
    if (error.code === 'TIMEOUT') {
      return { state: 'not-checked', because: `it takes longer than ${limit.ms / 1_000} s here` };
    }
    return needsRoot(deps.uid, error)
      ? { state: 'not-checked', because: `${error.message}; root may` }
      : { state: 'found', finding: findingOf(error) };
  }
}

async function look({ uid }: Pick<FactDeps, 'uid'>, check: Check, facts: Facts): Promise<Outcome> {
  const missing = await unreadable(uid, check, facts);
  if (missing !== undefined) {
    return { state: 'not-checked', because: missing };
  }
  const found: Finding | NotChecked | undefined = await check.run(facts);
  if (found === undefined) {
    return { state: 'ok' };
  }
  return 'notChecked' in found
    ? { state: 'not-checked', because: found.notChecked }
    : { state: 'found', finding: found };
}

/** Why a fact that the check needs cannot be had. */
async function unreadable(uid: number, check: Check, facts: Facts): Promise<string | undefined> {
  const read = await Promise.allSettled(check.needs.map((fact) => facts(fact)));
  for (const fact of read) {
    if (fact.status === 'rejected') {
      const error = expectedError(fact.reason);
      if (error.code === 'INTERRUPTED' || error.code === 'TIMEOUT') {
        throw error;
      }
      return needsRoot(uid, error) ? `${error.message}; root may` : error.message;
    }
  }
  return undefined;
}

/** Whether it was this user who may not look. */
function needsRoot(uid: number, { details }: AgentError): boolean {
  return uid !== 0 && details?.['denied'] === true;
}

/** The one error of all findings that block; undefined where none does. */
export function blockingError(results: readonly CheckResult[]): AgentError | undefined {
  const blocking = results.flatMap(({ id, severity, outcome }) =>
    severity === 'blocks' && outcome.state === 'found' ? [{ id, ...outcome.finding }] : [],
  );
  const [first, ...others] = blocking;
  if (first === undefined) {
    return undefined;
  }
  if (others.length === 0) {
    return new AgentError(first.code, first.message, {
      hint: adviceOf(first),
      ...(first.details === undefined ? {} : { details: first.details }),
    });
  }
  const list = blocking.map(
    (finding, index) => `\n  ${index + 1}. ${finding.message}\n     ${adviceOf(finding)}`,
  );
  return new AgentError(first.code, `${blocking.length} things stand in the way:${list.join('')}`, {
    hint: 'Nothing was changed. Mend all of them, then run the same command again',
    details: { findings: blocking },
  });
}

/** What to do, with the command where there is one. */
export function adviceOf({ hint, fix }: Finding): string {
  return fix === undefined ? hint : `${hint}: ${fix.replaceAll('\n', ' && ')}`;
}
