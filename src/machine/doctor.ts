/** What is looked at on this machine, as it is now: before, during and after an installation. */
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { expectedError } from '../core/errors.ts';
import { k3sUnitFile } from '../core/k3s-places.ts';
import type { Check } from '../host/checks/check.ts';
import { type CheckResult, runChecks } from '../host/checks/run.ts';
import { hasK3s } from '../host/cluster/adopted-k3s.ts';
import { openInventory } from '../host/engine/inventory.ts';
import type { FactDeps, MachineRole, Subject } from '../host/facts/fact.ts';
import { checksFor } from './checks.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';
import { IGNORE_VARIABLE, withIgnored } from './ignored-checks.ts';
import { k3sVersionHere } from './k3s-version.ts';

export interface Diagnosis {
  readonly role: MachineRole;
  readonly results: readonly CheckResult[];
  /** What was assumed, because it could not be read. */
  readonly assumed: string | undefined;
  readonly seconds: number;
}

/**
 * Runs the checks that fit this machine. Changes nothing.
 * @param wanted which of them
 * @throws AgentError INTERRUPTED; CONFIG_INVALID where PIPEOPS_IGNORE_CHECKS names what is no check
 */
export async function diagnose(
  context: MachineContext,
  flags: ConfigFlags,
  wanted: (check: Check) => boolean,
): Promise<Diagnosis> {
  const startedAt = context.clock.monotonic();
  const role = await roleOf(context);
  const { loaded, assumed } = await settings(context, flags);
  const subject: Subject = {
    role,
    k3sRole: role === 'worker' ? 'agent' : 'server',
    config: loaded.config,
  };
  const all = await runChecks(factDeps(context, subject), checksFor(role).filter(wanted));
  const results = withIgnored(all, context.env[IGNORE_VARIABLE]);
  const seconds = Math.round(context.clock.monotonic() - startedAt) / 1_000;
  return { role, results, assumed, seconds };
}

/** The quick part, for a daemon that looks again and again. */
export async function lookQuickly(
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

/** What the facts of this machine are read with. */
export function factDeps(context: MachineContext, subject: Subject): FactDeps {
  return { ...context, subject, k3sVersion: () => k3sVersionHere(context, subject.config) };
}

/** Whether something is wrong; what only warns is not. */
export function isWrong({ results }: Diagnosis): boolean {
  return results.some(
    ({ severity, outcome }) => severity === 'blocks' && outcome.state === 'found',
  );
}

/** The inventory is root's; others see the units. */
async function roleOf(context: MachineContext): Promise<MachineRole> {
  const isOurs = await roles(context);
  if (await isOurs('server')) {
    return 'server';
  }
  return (await isOurs('agent')) ? 'worker' : 'bare';
}

async function roles(
  context: MachineContext,
): Promise<(role: 'server' | 'agent') => Promise<boolean>> {
  try {
    const inventory = await openInventory(context);
    return async (role) => hasK3s(inventory, role);
  } catch (thrown) {
    // Denied, or damaged: the units tell it as well.
    expectedError(thrown);
    const isThere = async (path: string) => (await context.files.stat(path)) !== undefined;
    return async (role) =>
      (await isThere(context.places.unitFile)) && (await isThere(k3sUnitFile(role)));
  }
}

async function settings(
  context: MachineContext,
  flags: ConfigFlags,
): Promise<{ readonly loaded: LoadedConfig; readonly assumed: string | undefined }> {
  try {
    return { loaded: await loadEffectiveConfig(context, flags), assumed: undefined };
  } catch (thrown) {
    const error = expectedError(thrown);
    const { hostname, places } = context;
    const filePath = places.configFile;
    const loaded = loadConfig({ flags: {}, env: {}, hostname, fileText: undefined, filePath });
    const isDenied = error.details?.['denied'] === true;
    const why = isDenied ? `Only root may read ${filePath}` : 'The settings cannot be used';
    return { loaded, assumed: `${why}: the usual ones are assumed` };
  }
}
