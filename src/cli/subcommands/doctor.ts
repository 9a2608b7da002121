import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

/** What a monitoring program and a script decide by (docs/ARCHITECTURE.md, "Exit codes"). */
const EXIT_WRONG = 11;

export const doctorSubcommand = defineSubcommand({
  name: 'doctor',
  description:
    'Looks for everything that keeps this machine from being a good node, before and after an installation, and says what mends it. Changes nothing. Without root it says what it could not look at. Ends with 11 when something is wrong; warnings alone are 0.',
  example: 'sudo pipeops-agent doctor',
  flags: { json: JSON_FLAG },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { diagnose, isWrong } = await import('../../machine/doctor.ts');
    const report = await import('./diagnosis-outcome.ts');
    const diagnosis = await diagnose(context, {}, () => true);
    const { columns } = context.io;
    if (flags.json) {
      context.io.stdout(report.diagnosisDocument(diagnosis));
    } else {
      const findings = report.renderFindings(diagnosis, columns);
      context.io.stdout(report.renderChecks(diagnosis, columns));
      context.io.stdout(findings === '' ? '' : `\n${findings}`);
      context.io.stdout(`\n${report.renderSum(diagnosis)}`);
      context.io.stderr(diagnosis.assumed === undefined ? '' : `${diagnosis.assumed}.\n`);
    }
    return isWrong(diagnosis) ? EXIT_WRONG : 0;
  },
});

export const healthCheckSubcommand = defineSubcommand({
  name: 'health-check',
  description:
    'Says whether the agent is ready and this machine all right, for a monitoring program: the quick part of "doctor". Ends with 11 when something is wrong; warnings alone are 0.',
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
      {},
      (check) => check.cost === 'cheap' || check === agentReady,
    );
    context.io.stdout(
      flags.json
        ? report.diagnosisDocument(diagnosis)
        : report.renderFindings(diagnosis, context.io.columns) + report.renderSum(diagnosis),
    );
    return isWrong(diagnosis) ? EXIT_WRONG : 0;
  },
});
