import { resolve } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { Diagnosis, DoctorWishes } from '../../machine/doctor.ts';
import { BUNDLE_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { needsRoot, runLocked } from '../definition/locked.ts';
import { readDuration } from '../definition/read-duration.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { renderChanges, renderDetails } from '../terminal/render.ts';

/** What a monitoring program and a script decide by (docs/ARCHITECTURE.md, "Exit codes"). */
const EXIT_WRONG = 11;
/** Of another machine. */
const SILENCE = { minMs: 500, maxMs: 60_000, example: '10s' };

export const doctorSubcommand = defineSubcommand({
  name: 'doctor',
  description:
    'Looks for everything that keeps this machine from being a good node, before and after an installation, and says what mends it. Without --fix it changes nothing. Without root it says what it could not look at. Ends with 11 when something is wrong; warnings alone are 0.',
  example: 'sudo pipeops-agent doctor',
  flags: {
    fix: {
      type: 'boolean',
      default: false,
      description: 'Mend what can be mended safely, after a question; uninstall takes it back',
    },
    yes: { type: 'boolean', default: false, description: 'With --fix: do not ask' },
    canary: {
      type: 'boolean',
      default: false,
      description:
        'On a server: also start a pod on each node for some seconds, and look from inside whether pods reach each other, the API and DNS',
    },
    timeout: {
      type: 'string',
      description: 'How long another machine may stay silent (default 2500ms)',
      valueHint: 'DURATION',
    },
    bundle: BUNDLE_FLAG,
    ...settingFlags(),
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { diagnose, isWrong } = await import('../../machine/doctor.ts');
    const report = await import('./diagnosis-outcome.ts');
    if (flags.fix && context.uid !== 0) {
      throw needsRoot('doctor --fix', true);
    }
    const wishes = {
      flags,
      further: flags.canary ? await canary(context) : undefined,
      bundle: flags.bundle === undefined ? undefined : resolve(flags.bundle),
      stepLimitMs:
        flags.timeout === undefined ? undefined : readDuration('timeout', flags.timeout, SILENCE),
    };
    const look = () => diagnose(context, wishes, () => true);
    const found = await look();
    const fixed = flags.fix
      ? await runLocked(context, 'doctor --fix', () => fix(context, found, flags))
      : [];
    const diagnosis = fixed.length === 0 ? found : await look();
    context.io.stdout(
      flags.json
        ? report.diagnosisDocument(diagnosis, fixed)
        : report.renderDiagnosis(diagnosis, context.io.columns),
    );
    return isWrong(diagnosis) ? EXIT_WRONG : 0;
  },
});

/** Its pods are made once, for all of its checks. */
async function canary(context: CliContext): Promise<DoctorWishes['further']> {
  const { canaryChecks } = await import('../../machine/canary/checks.ts');
  const { lookWithCanary } = await import('../../machine/canary/look.ts');
  return (config) => {
    let begun: ReturnType<typeof lookWithCanary> | undefined;
    return canaryChecks(() => {
      begun ??= lookWithCanary(context, config);
      return begun;
    });
  };
}

/**
 * Shows what would be changed, asks, and changes it.
 * @returns ids of the checks' repairs that were made
 * @throws AgentError USAGE where nobody confirms it
 */
async function fix(
  context: CliContext,
  diagnosis: Diagnosis,
  { yes }: { readonly yes: boolean },
): Promise<readonly string[]> {
  const { planRepairs, repair, repairsFor } = await import('../../machine/repairs.ts');
  const wanted = repairsFor(diagnosis);
  const steps = await planRepairs(context, wanted);
  if (steps.length === 0) {
    context.io.stderr('There is nothing that can be mended safely from here.\n');
    return [];
  }
  for (const { title, changes, touches } of steps) {
    const named = changes.map(({ target }) => target);
    const others = touches.filter((path) => !named.includes(path)).join(', ');
    context.io.stderr(`${title}: ${renderChanges(changes)}${others === '' ? '' : `; ${others}`}\n`);
  }
  context.io.stderr(renderDetails(steps));
  const question = steps.length === 1 ? 'Do this?' : `Do these ${steps.length} things?`;
  if (!yes && (await context.io.confirm(question)) !== true) {
    throw new AgentError('USAGE', 'Nothing was changed: it was not confirmed', {
      hint: 'Answer y, or give --yes',
    });
  }
  await repair(context, wanted);
  return steps.map(({ id }) => id);
}

export const healthCheckSubcommand = defineSubcommand({
  name: 'health-check',
  description:
    'Says whether the agent is ready and this machine all right, for a monitoring program: the quick part of "doctor". Ends with 11 when something is wrong, with 4 where no agent is installed; warnings alone are 0.',
  example: 'sudo pipeops-agent health-check',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { agentReady } = await import('../../machine/agent-ready.ts');
    const { diagnose, isWrong } = await import('../../machine/doctor.ts');
    const report = await import('./diagnosis-outcome.ts');
    const diagnosis = await diagnose(
      context,
      { flags: {} },
      (check) => check.cost === 'cheap' || check === agentReady,
    );
    if (diagnosis.role === 'bare') {
      throw new AgentError('NOT_INSTALLED', 'pipeops-agent is not set up on this machine', {
        hint: 'To see whether the machine is fit for it: sudo pipeops-agent doctor',
      });
    }
    context.io.stdout(
      flags.json
        ? report.diagnosisDocument(diagnosis, [])
        : report.renderHealth(diagnosis, context.io.columns),
    );
    return isWrong(diagnosis) ? EXIT_WRONG : 0;
  },
});
