/** docs/observability/rules.yaml: recording and alert rules for Prometheus. */
import { ALERTS } from './alerts.ts';
import { BURNS, type Burn, OBJECTIVES, type Objective, WINDOWS } from './objectives.ts';

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly holds: string;
  readonly severity: string;
  readonly summary: string;
  readonly description: string;
}

export async function rulesFile(): Promise<string> {
  const records = OBJECTIVES.flatMap((objective) =>
    WINDOWS.map((window) => recordRule(recordOf(objective, window), objective.broken(window))),
  );
  return `# Made by \`bun scripts/docs.ts\` from scripts/observability/: rules for Prometheus 2.42 or newer.
# The job that scrapes the agents must be called pipeops-agent. What to do: ALERTS.md.
groups:
  - name: pipeops-agent-records
    rules:
${recordRule('pipeops_agent:session_down:bool', 'pipeops_agent_session_down_seconds > bool 0')}${records.join('')}
  - name: pipeops-agent-objectives
    rules:
${OBJECTIVES.flatMap((each) => BURNS.map((burn) => alertRule(burnAlert(each, burn)))).join('')}
  - name: pipeops-agent
    rules:
${ALERTS.map(({ name, remedy, ...rest }) => alertRule({ ...rest, alert: name, description: remedy })).join('')}`;
}

/** docs/observability/ALERTS.md: each alert, and what to do. */
export async function alertsPage(): Promise<string> {
  const objectives = OBJECTIVES.flatMap((objective) =>
    BURNS.map((burn) => {
      const { alert, severity, description } = burnAlert(objective, burn);
      return `## ${alert}\n\n\`${severity}\`. ${description}\n`;
    }),
  );
  const others = ALERTS.map(({ name, severity, holds, summary, expr, remedy }) => {
    const when = holds === '0m' ? '' : `, for ${holds}`;
    const what = summary.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '`$1`');
    return `## ${name}\n\n\`${severity}\`. ${what}: \`${expr}\`${when}.\n\n${remedy}\n`;
  });
  return `# Alerts

Of [rules.yaml](rules.yaml). \`page\`: a person should look now. \`ticket\`: on a working day.

${[...objectives, ...others].join('\n')}`;
}

function recordOf({ id }: Objective, window: string): string {
  return `pipeops_agent:${id}:ratio_${window}`;
}

function burnAlert(objective: Objective, { severity, pairs, meaning }: Burn): AlertRule {
  const burns = (window: string, rate: number) =>
    `${recordOf(objective, window)} > ${Number((rate * objective.budget).toPrecision(6))}`;
  const exprs = pairs.map(
    ({ long, short, rate }) => `(${burns(long, rate)} and ${burns(short, rate)})`,
  );
  return {
    alert: `${objective.alert}Budget${severity === 'page' ? 'BurnsFast' : 'Burns'}`,
    expr: exprs.join(' or '),
    ...{ holds: '2m', severity },
    summary: `At this rate ${meaning}: ${objective.promise}`,
    description: `${objective.promise} At this rate ${meaning}. ${objective.remedy}`,
  };
}

function recordRule(record: string, expr: string): string {
  return `      - record: ${record}\n        expr: ${quoted(expr)}\n`;
}

function alertRule({ alert, expr, holds, severity, summary, description }: AlertRule): string {
  return `      - alert: ${alert}
        expr: ${quoted(expr)}
        for: ${holds}
        labels:
          severity: ${severity}
        annotations:
          summary: ${quoted(`${summary} ({{ $labels.instance }})`)}
          description: ${quoted(description)}
`;
}

/** YAML 1.2, "Single-Quoted Style". */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
