import type { Config } from '../config/schema.ts';
import { expectedError, isErrorCode } from '../core/errors.ts';
import { k3sUnitFile } from '../core/k3s-places.ts';
import { helperClient } from '../host/agent/ask-helper.ts';
import { type CheckResult, runChecks } from '../host/checks/run.ts';
import type { Subject } from '../host/facts/fact.ts';
import { HostFacts, type K3sUpkeep } from '../protocol/host-facts.ts';
import { checksFor } from './checks.ts';
import type { MachineContext } from './context.ts';
import { factDeps } from './fact-deps.ts';
import { IGNORE_VARIABLE, withIgnored } from './ignored-checks.ts';

type Looked = Pick<CheckResult, 'id' | 'outcome'>;

export interface SeenMachine {
  readonly results: readonly Looked[];
  /** Undefined where root's helper was not asked. */
  readonly k3s: K3sUpkeep | undefined;
}

/** What is wrong with this machine, as the daemon sees it, and what root's helper sees besides. */
export async function lookAround(context: MachineContext, config: Config): Promise<SeenMachine> {
  const [own, root] = await Promise.all([runCheapChecks(context, config), askRoot(context)]);
  return { results: [...own, ...(root?.findings ?? []).map(resultOf)], k3s: root?.k3s };
}

/**
 * Not by `diagnose`: a daemon that looks again and again would hold in memory what reads bundles and
 * releases.
 */
async function runCheapChecks(
  context: MachineContext,
  config: Config,
): Promise<readonly CheckResult[]> {
  const isWorker = config.agent.role === 'node';
  const role = isWorker ? 'worker' : 'server';
  // A further server has an agent like a worker's.
  const isAgent = (await context.files.stat(k3sUnitFile('server'))) === undefined;
  const k3sRole = isWorker && isAgent ? 'agent' : 'server';
  const subject: Subject = { role, k3sRole, config };
  const cheap = checksFor(role).filter(({ cost }) => cost === 'cheap');
  const results = await runChecks(factDeps(context, subject), cheap);
  return withIgnored(results, context.env[IGNORE_VARIABLE]);
}

/** @returns undefined where there is no helper */
async function askRoot(context: MachineContext): Promise<HostFacts | undefined> {
  try {
    const answer = await helperClient(context)({ verb: 'host_facts' }, { signal: context.signal });
    return HostFacts.parse(answer);
  } catch (thrown) {
    // Where no systemd runs the agent there is no helper: then this is not looked at.
    context.log.debug('root was not asked', { error_code: expectedError(thrown).code });
    return undefined;
  }
}

function resultOf({ check, code, message, hint }: HostFacts['findings'][number]): Looked {
  const finding = { code: isErrorCode(code) ? code : 'CHECK_FAILED', message, hint } as const;
  return { id: check, outcome: { state: 'found', finding } };
}
