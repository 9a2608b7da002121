import { expect, test } from 'bun:test';
import {
  diagnosisDocument,
  renderDiagnosis,
  renderHealth,
} from '../../../src/cli/subcommands/diagnosis-outcome.ts';
import type { Diagnosis } from '../../../src/machine/doctor.ts';

const PASSWORD = 'hunter2secret';
const ADDRESS = `https://user:${PASSWORD}@proxy.test`;

test('no form of a report tells a secret that a finding or a reason came with', () => {
  const about = { title: 'Way', severity: 'blocks', why: 'It matters.' } as const;
  const finding = {
    code: 'CHECK_FAILED',
    message: `Cannot use ${ADDRESS}`,
    hint: `Correct ${ADDRESS}`,
    fix: `curl ${ADDRESS}`,
  } as const;
  const diagnosis: Diagnosis = {
    role: 'server',
    results: [
      { id: 'found', ...about, outcome: { state: 'found', finding } },
      { id: 'blind', ...about, outcome: { state: 'not-checked', because: `${ADDRESS} is shut` } },
    ],
    assumed: undefined,
    seconds: 0.1,
  };
  const reports = [
    diagnosisDocument(diagnosis, []),
    renderDiagnosis(diagnosis, 20),
    renderHealth(diagnosis),
  ];
  for (const report of reports) {
    expect(report).toContain('[redacted]@proxy.test');
    expect(report).not.toContain(PASSWORD);
  }
});
