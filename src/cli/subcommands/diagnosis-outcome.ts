/** How `doctor` and `health-check` report what they found. */
import { redact } from '../../core/text/redact.ts';
import type { CheckResult, Outcome } from '../../host/checks/run.ts';
import { type Diagnosis, isWrong } from '../../machine/doctor.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { renderTable } from '../terminal/render.ts';
import { wrapText } from '../terminal/wrap-text.ts';

const COLUMNS_DEFAULT = 80;
const INDENT = '  ';
const WORD_WIDTH = 6;

/**
 * The promise behind `doctor --json` and `health-check --json`.
 * @param fixed ids of what was mended
 */
export function diagnosisDocument(diagnosis: Diagnosis, fixed: readonly string[]): string {
  const { role, results, assumed, seconds } = diagnosis;
  const checks = results.map(({ id, title, severity, why, outcome }) => ({
    id,
    title,
    severity,
    why,
    ...outcome,
  }));
  const ok = !isWrong(diagnosis);
  const document = { ok, role, assumed: assumed ?? null, fixed, seconds, checks };
  return redact(jsonDocument<'doctor'>(document));
}

/** One line for each check, then each finding: what is wrong, why it matters, what mends it. */
export function renderDiagnosis(diagnosis: Diagnosis, columns = COLUMNS_DEFAULT): string {
  const { results, assumed } = diagnosis;
  const table = renderTable(
    results.map((result) => [stateWord(result), result.title, remark(result.outcome)]),
    columns,
  );
  const findings = renderFindings(diagnosis, columns);
  return [
    table,
    findings === '' ? '' : `\n${findings}`,
    `\n${renderSum(diagnosis)}`,
    assumed === undefined ? '' : `${assumed}.\n`,
  ].join('');
}

/** Only what was found. */
export function renderHealth(diagnosis: Diagnosis, columns = COLUMNS_DEFAULT): string {
  const findings = renderFindings(diagnosis, columns);
  return `${findings}${findings === '' ? '' : '\n'}${renderSum(diagnosis)}`;
}

/** The worst first. */
function renderFindings({ results }: Diagnosis, columns: number): string {
  const bySeverity = (wanted: string) => results.filter(({ severity }) => severity === wanted);
  return [...bySeverity('blocks'), ...bySeverity('warns')]
    .flatMap((result) => (result.outcome.state === 'found' ? [result] : []))
    .map((result) => renderFinding(result, columns))
    .join('\n');
}

/** `2 wrong, 1 warning, 3 not checked, 14 ok, in 0.4 s`. */
function renderSum({ results, seconds }: Diagnosis): string {
  const counts = new Map<string, number>();
  for (const result of results) {
    counts.set(stateWord(result), (counts.get(stateWord(result)) ?? 0) + 1);
  }
  const told = ['wrong', 'warning', 'not checked', 'ok'].flatMap((word) => {
    const count = counts.get(word) ?? 0;
    return count === 0 ? [] : [`${count} ${count > 1 && word === 'warning' ? 'warnings' : word}`];
  });
  return `${told.join(', ')}, in ${seconds} s\n`;
}

function stateWord({ severity, outcome }: CheckResult): string {
  switch (outcome.state) {
    case 'ok':
      return 'ok';
    case 'not-checked':
      return 'not checked';
    case 'found':
      return severity === 'blocks' ? 'wrong' : 'warning';
  }
}

function remark(outcome: Outcome): string {
  return outcome.state === 'not-checked' ? redact(outcome.because) : '';
}

function renderFinding(result: CheckResult, columns: number): string {
  if (result.outcome.state !== 'found') {
    return '';
  }
  const { finding } = result.outcome;
  const told = (word: string, text: string) =>
    wrapText(`${redact(text)}.`, columns - INDENT.length - WORD_WIDTH)
      .map((line, index) => `${INDENT}${(index === 0 ? word : '').padEnd(WORD_WIDTH)}${line}\n`)
      .join('');
  // Commands are copied: they are never wrapped.
  const lines = finding.fix === undefined ? [] : redact(finding.fix).split('\n');
  const commands = lines.map((line) => `${INDENT.repeat(3)}${line}\n`);
  return [
    `${result.title}: ${stateWord(result)} [${result.id}]\n`,
    told('what', withoutStop(finding.message)),
    told('why', withoutStop(result.why)),
    told('fix', withoutStop(finding.hint)),
    ...commands,
  ].join('');
}

function withoutStop(text: string): string {
  return text.replace(/\.$/, '');
}
