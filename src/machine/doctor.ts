/** What is looked at on this machine, as it is now: before, during and after an installation. */
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { expectedError } from '../core/errors.ts';
import { k3sUnitFile } from '../core/k3s-places.ts';
import type { Check } from '../host/checks/check.ts';
import { type CheckResult, runChecks } from '../host/checks/run.ts';
import { hasK3s } from '../host/cluster/adopted-k3s.ts';
import { openInventory } from '../host/engine/inventory.ts';
import type { MachineRole, Subject } from '../host/facts/fact.ts';
import { givenBundle, withVersionOf } from './bundle.ts';
import { checksFor, FETCHING } from './checks.ts';
import type { MachineContext } from './context.ts';
import { type ConfigFlags, loadEffectiveConfig } from './effective-config.ts';
import { factDeps } from './fact-deps.ts';
import { IGNORE_VARIABLE, withIgnored } from './ignored-checks.ts';

/** How a person wants the machine looked at. */
export interface DoctorWishes {
  /** Settings that an installation would be given. */
  readonly flags: ConfigFlags;
  /** Checks that are run beside those of the table. */
  readonly further?: ((config: Config) => readonly Check[]) | undefined;
  /** The bundle that it would be made from; undefined: from the network. */
  readonly bundle?: string | undefined;
  /** How long another machine may stay silent; STEP_LIMIT_MS when absent. */
  readonly stepLimitMs?: number | undefined;
}

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
 * @throws AgentError INTERRUPTED; CONFIG_INVALID where PIPEOPS_IGNORE_CHECKS names what is no check, or a
 *   flag cannot be used; what `givenBundle` throws
 */
export async function diagnose(
  context: MachineContext,
  { flags, bundle: path, stepLimitMs, further }: DoctorWishes,
  wanted: (check: Check) => boolean,
): Promise<Diagnosis> {
  const role = await roleOf(context);
  const { loaded: given, assumed } = await settings(context, flags);
  const bundle = await givenBundle(context, path, given.config);
  const loaded = withVersionOf(bundle, given);
  const startedAt = context.clock.monotonic();
  const subject: Subject = {
    role,
    k3sRole: role === 'worker' ? 'agent' : 'server',
    config: loaded.config,
  };
  const checks = checksFor(role).filter(
    (check) => wanted(check) && (bundle === undefined || !FETCHING.includes(check)),
  );
  const all = await runChecks(factDeps(context, subject, stepLimitMs), [
    ...checks,
    ...(further?.(loaded.config) ?? []),
  ]);
  const results = withIgnored(all, context.env[IGNORE_VARIABLE]);
  const seconds = Math.round(context.clock.monotonic() - startedAt) / 1_000;
  return { role, results, assumed, seconds };
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
    if (error.code === 'NOT_FOUND') {
      throw error; // The file of --config.
    }
    const { hostname, places } = context;
    const filePath = places.configFile;
    // A mistake in a flag is thrown here.
    const loaded = loadConfig({ flags, env: {}, hostname, fileText: undefined, filePath });
    const isDenied = error.details?.['denied'] === true;
    const why = isDenied ? `Only root may read ${filePath}` : 'The settings cannot be used';
    return { loaded, assumed: `${why}: the usual ones are assumed` };
  }
}
