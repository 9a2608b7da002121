/** Writes the pages that the sources know: `bun scripts/docs.ts`. A test compares them with the files. */
import { join } from 'node:path';
import type * as z from 'zod';
import {
  describeProgram,
  type FlagDocument,
  type SubcommandDocument,
} from '../src/cli/help/document.ts';
import { SUBCOMMANDS } from '../src/cli/subcommands/list.ts';
import { describeSettings } from '../src/config/describe.ts';
import { DEFAULT_PLACES } from '../src/core/places.ts';
import { formatDuration } from '../src/core/text/duration.ts';
import type { Warnable } from '../src/health/warnable.ts';
import { WARNABLES } from '../src/health/warnables/table.ts';
import type { Check } from '../src/host/checks/check.ts';
import { canaryChecks } from '../src/machine/canary/checks.ts';
import { CHECKS } from '../src/machine/checks.ts';
import { JSON_DOCUMENTS } from '../src/protocol/json-documents.ts';
import { answerSchema } from '../src/protocol/json-schema.ts';
import { parametersOf } from '../src/server/api/openapi.ts';
import { type DocumentedRoute, documentedRoutes } from '../src/server/api/route.ts';
import type { MetricDefinition } from '../src/telemetry/metrics/definition.ts';
import { METRICS } from '../src/telemetry/metrics/table.ts';
import { dashboardFile } from './observability/dashboard.ts';
import { alertsPage, rulesFile } from './observability/rules.ts';

/** Pages of docs/, as the sources say them. */
export const PAGES: Readonly<Record<string, () => Promise<string>>> = {
  'config.md': configPage,
  'CLI.md': cliPage,
  'TROUBLESHOOTING.md': troubleshootingPage,
  'API.md': apiPage,
  'METRICS.md': metricsPage,
  'observability/ALERTS.md': alertsPage,
  'observability/rules.yaml': rulesFile,
  'observability/dashboard.json': dashboardFile,
};

async function configPage(): Promise<string> {
  const rows = describeSettings().map((setting) => {
    const { flag, env, description } = setting.meta;
    const usual = setting.default === undefined ? '' : `\`${JSON.stringify(setting.default)}\``;
    const names = [
      flag === undefined ? '' : `\`--${flag}\``,
      env === undefined ? '' : `\`${env}\``,
    ];
    return row(`\`${setting.path}\``, ...names, usual, description);
  });
  return `# Settings

Flags go before environment variables, those before the file \`${DEFAULT_PLACES.configFile}\`, that before the
defaults. \`sudo pipeops-agent config show\` tells the value of each, where it came from and whether it is
in force; \`sudo pipeops-agent config validate\` names every problem at once, also of the files that the
agent reads beside it. No secret is a setting. After a change
of the file: \`sudo systemctl restart pipeops-agent\`.

A key that is not in this list is ignored and told as a warning with its line: by both subcommands,
\`status\` and the log. It may be a mistake, or a setting of a newer version, which uses it again; what
writes the file leaves it there. It is an error where it nearly names \`control_plane.url\`, \`ca_file\` or
\`gateway_hosts\` and that one is not set: the machine would be less protected than was wished. A value
that a setting cannot have is an error, too.

| setting | flag | variable | default | meaning |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

async function cliPage(): Promise<string> {
  const { subcommands, exit_codes } = await describeProgram(SUBCOMMANDS);
  return `# The command line

\`pipeops-agent <subcommand> [flags]\`. Flags stand behind the subcommand, as \`--flag VALUE\` or
\`--flag=VALUE\`; \`--no-flag\` turns a switch off; what stands behind \`--\` is no flag. Data goes to standard
output, everything else to standard error. With \`--json\` there is one document, of an error too: \`error\` with
\`code\`, \`message\`, and mostly \`hint\` and \`details\`. A later version may add fields.

\`pipeops-agent --help --json\` is this page for programs: subcommands, words, flags, exit codes. So is
\`pipeops-agent SUBCOMMAND --help --json\` for one of them.

| subcommand | does |
|---|---|
${subcommands.map(({ name, summary }) => row(`[\`${name}\`](#${name.replaceAll(' ', '-')})`, summary)).join('\n')}

## Completion

\`pipeops-agent completion SHELL\` prints what bash, zsh or fish need to complete subcommands, flags and
what may be given. Nothing is put on the machine for it. For you, in this shell and the next ones:

\`\`\`sh
echo 'source <(pipeops-agent completion bash)' >> ~/.bashrc     # then: source ~/.bashrc
echo 'source <(pipeops-agent completion zsh)' >> ~/.zshrc       # behind its "compinit"
pipeops-agent completion fish > ~/.config/fish/completions/pipeops-agent.fish
\`\`\`

For everybody, also behind \`sudo\`, where the package bash-completion is installed:

\`\`\`sh
pipeops-agent completion bash | sudo tee /etc/bash_completion.d/pipeops-agent >/dev/null
\`\`\`

${subcommands.map(subcommandSection).join('\n')}
## Exit codes

| exit | meaning |
|---|---|
${exit_codes.map(({ code, meaning }) => row(String(code), meaning)).join('\n')}
`;
}

function subcommandSection(subcommand: SubcommandDocument): string {
  const settings = new Set(describeSettings().map(({ meta }) => `--${meta.flag}`));
  const isSetting = ({ name }: FlagDocument) => settings.has(name);
  const own = subcommand.flags.filter((flag) => !isSetting(flag) && flag.name !== '--help');
  const ofSettings = subcommand.flags.filter(isSetting);
  const rows = [
    ...subcommand.words.map(({ name, values, description }) =>
      row(`\`${name}\``, description, values.map((value) => `\`${value}\``).join(' ')),
    ),
    ...own.map((flag) => row(flagCell(flag), flag.description, defaultCell(flag))),
  ];
  return `## ${subcommand.name}

${subcommand.description}${subcommand.needs_root ? ' Needs root.' : ''}

\`\`\`sh
${subcommand.usage}
${subcommand.example}     # for example
\`\`\`
${rows.length === 0 ? '' : `\n| word or flag | meaning | default, or what may be given |\n|---|---|---|\n${rows.join('\n')}\n`}${
  ofSettings.length === 0
    ? ''
    : `\nFlags of [settings](config.md): ${ofSettings.map(({ name }) => `\`${name}\``).join(', ')}.\n`
}${jsonSection(subcommand.name)}`;
}

/** What is printed with `--json`; of several shapes each. */
function jsonSection(name: string): string {
  const schema = Object.entries<z.ZodType>(JSON_DOCUMENTS).find(([each]) => each === name)?.[1];
  if (schema === undefined) {
    return '';
  }
  const shape = answerSchema(schema) as Shape;
  const tables = (shape.anyOf ?? [shape]).map(
    (each) => `| field | type |\n|---|---|\n${fieldRows(each).join('\n')}\n`,
  );
  return `\nWith \`--json\`:\n\n${tables.join('\nor:\n\n')}`;
}

function flagCell({ name, value_hint }: FlagDocument): string {
  return value_hint === null ? `\`${name}\`` : `\`${name} ${value_hint}\``;
}

function defaultCell(flag: FlagDocument): string {
  if (typeof flag.default === 'string') {
    return `default \`${flag.default}\``;
  }
  return flag.values.map((value) => `\`${value}\``).join(' ');
}

/** What stands behind this line on the page is written here. */
const CHECKS_BEGIN = '<!-- From here on written by scripts/docs.ts. -->\n';

async function troubleshootingPage(): Promise<string> {
  const text = await Bun.file(join(import.meta.dir, '../docs/TROUBLESHOOTING.md')).text();
  const [byHand = ''] = text.split(CHECKS_BEGIN);
  return `${byHand}${CHECKS_BEGIN}
${[...CHECKS, ...canaryChecks(neverRun)].map(checkSection).join('\n')}
## Health

What can be wrong while the agent runs. \`/ready\`, \`status\`, \`systemctl status pipeops-agent\`, \`/metrics\`
and the control plane are told the same: each problem with one of these names. A problem whose cause is
known is not shown beside it. \`status --json\` has the history since the start of the agent.

${WARNABLES.map(warnableSection).join('\n')}`;
}

/** Only their texts are read here. */
function neverRun(): never {
  throw new Error('no canary is run for its documentation');
}

function warnableSection({
  id,
  title,
  severity,
  dependsOn,
  visibleAfterMs,
  why,
  remedy,
}: Warnable): string {
  const weight = severity === 'blocks' ? 'The agent is not ready meanwhile' : 'A warning';
  const delay = visibleAfterMs === 0 ? '' : ` It is shown after ${formatDuration(visibleAfterMs)}.`;
  const causes = dependsOn.map((cause) => `\`${cause}\``).join(', ');
  const hidden = causes === '' ? '' : ` Not shown beside ${causes}.`;
  return `### Health: ${id}

${title}. ${weight}.${delay}${hidden} ${why}

${remedy}
`;
}

const WHERE = { bare: 'before an installation', server: 'on a server', worker: 'on a worker' };

function checkSection({ id, title, severity, roles, why, remedy }: Check): string {
  const where =
    roles.length === Object.keys(WHERE).length
      ? 'everywhere'
      : roles.map((role) => WHERE[role]).join(' and ');
  const weight = severity === 'blocks' ? 'An error, at worst' : 'A warning';
  return `### ${id}

${title}. ${weight}, looked for ${where}. ${why}

${remedy}
`;
}

const API_INTRODUCTION = `# The local API

HTTP on \`127.0.0.1:8080\` (\`http.port\`) and on the socket \`${DEFAULT_PLACES.socketLink}\`. What is open answers every
user of this machine. The rest answers over the socket, which root and the group \`pipeops-agent\` may open, and on
loopback with the local token: \`Authorization: Bearer $(cat ${DEFAULT_PLACES.localTokenFile})\`; each start of the agent
makes a new one, and takes the one before for two minutes. \`/proxy/*\` is the Kubernetes API, byte for byte. Requests
with a foreign \`Host\`, and from pages of other sites, are refused. Pages of the origins in \`http.cors_origins\` may ask
what is below \`/api\`, with the token; cookies are never asked for.

\`\`\`sh
sudo curl --unix-socket ${DEFAULT_PLACES.socketLink} 'http://agent/api/k8s/pods?namespace=default&sort=-restarts'
\`\`\`

\`GET /openapi.json\` is this page for programs (OpenAPI 3.1). Answers may get more fields. Refusals and errors are
\`application/problem+json\` (RFC 9457) with \`code\`, which [TROUBLESHOOTING.md](TROUBLESHOOTING.md) explains, \`detail\` and
mostly \`hint\`; 405 names the methods in \`Allow\`. Every answer has an \`X-Request-Id\`: yours, or one of ours; the log has it too (\`log.level: debug\`).
Answers to GET below \`/api\` have an \`ETag\` (\`If-None-Match\` gives 304); longer ones are sent as zstd or gzip where the caller
takes it. Streams (\`/api/realtime/…\`) are server-sent events, at the pace of who reads them: a comment comes every 15 s; who
takes nothing for 30 s is dropped. The newest 1 000 events are kept in memory at most (those that are not log lines
only until 5 minutes behind the last reader); who comes back with the id of its newest event (\`Last-Event-ID\`) goes on there, or is told of a \`gap\`.
Each door answers 100 requests a second, and 300 at once; over it 429 with \`Retry-After\`. What is open has no such limit.

\`/ws\` is a WebSocket for dashboards that were made for earlier agents; it needs the token, which a page shows as the
subprotocols \`pipeops-agent, bearer.TOKEN\`. Messages are \`{type, timestamp, data}\`. The first is \`status\`; \`ping\` is answered by
\`pong\`, \`get_status\` by \`status_response\`, \`get_metrics\` by \`metrics_response\`, anything else by \`error\`. A question has at most
4 KiB; 64 may wait for their answers, and 50 may be open; who takes nothing for 30 s is dropped.
`;

async function apiPage(): Promise<string> {
  const routes = documentedRoutes();
  const cell = (route: DocumentedRoute) => `\`${route.method} ${route.path}\``;
  const rows = routes.map((route) =>
    row(cell(route), route.summary, route.access === 'open' ? 'open' : 'token'),
  );
  return `${API_INTRODUCTION}
| route | does | access |
|---|---|---|
${rows.join('\n')}

${routes.map(routeSection).join('\n')}`;
}

function routeSection(route: DocumentedRoute): string {
  const { method, path, summary, otherStatuses, format, answer } = route;
  const params = parametersOf(route).map(({ name, in: place, description = '', schema }) => {
    const { default: usual } = schema as { readonly default?: unknown };
    return row(`\`${name}\``, place, description, usual === undefined ? '' : `\`${usual}\``);
  });
  const also = otherStatuses.map((status) => `, or ${status} with the same body`).join('');
  const fields = format === 'json' ? fieldRows(answerSchema(answer) as Shape) : [];
  const table =
    params.length === 0
      ? ''
      : `\n| parameter | in | meaning | default |\n|---|---|---|---|\n${params.join('\n')}\n`;
  const body = fields.length === 0 ? '' : `\n| field | type |\n|---|---|\n${fields.join('\n')}\n`;
  const events = format === 'events' ? eventTables(answerSchema(answer) as Shape) : '';
  return `## ${method} ${path}

${summary} Answers 200${also}.
${table}${body}${events}`;
}

/** What each event of a stream has. */
function eventTables({ oneOf = [] }: Shape): string {
  return oneOf
    .map(({ description = '', properties: { event, data } = {} }) => {
      const fields = fieldRows(data ?? {}).join('\n');
      return `\nEvent \`${String(event?.const)}\`. ${description}\n\n| field | type |\n|---|---|\n${fields}\n`;
    })
    .join('');
}

async function metricsPage(): Promise<string> {
  const rows = Object.entries<MetricDefinition>(METRICS).map(([name, metric]) => {
    const labels = Object.keys(metric.labels).map((label) => `\`${label}\``);
    return row(`\`${name}\``, metric.type, labels.join(', '), metric.help);
  });
  const values = Object.entries<MetricDefinition>(METRICS).flatMap(([name, { labels }]) =>
    Object.entries(labels).flatMap(([label, set]) =>
      set === 'own' ? [] : [row(`\`${name}\``, `\`${label}\``, set.join(', '))],
    ),
  );
  return `${METRICS_INTRODUCTION}
| metric | type | labels | what it says |
|---|---|---|---|
${rows.join('\n')}

## Values of labels

Whatever is not in these lists is told as \`other\`.

| metric | label | values |
|---|---|---|
${values.join('\n')}
`;
}

const METRICS_INTRODUCTION = `# Metrics

\`GET /metrics\` on 127.0.0.1:8080 (\`http.port\`) and on the socket, in Prometheus' text format, or in OpenMetrics where
the scraper asks for it: only that has exemplars. How to scrape it from elsewhere:
[OBSERVABILITY.md](OBSERVABILITY.md).

No label has a value that an outsider chooses, and no value is a secret. Histograms have \`_bucket\`, \`_sum\` and
\`_count\`. What only servers have is absent on a worker: session, policy, proxy, tunnel.

The agent in Go that came before this one had other names for some of it:

| there | here |
|---|---|
| \`pipeops_agent_connection_state\` | \`pipeops_agent_session_connected\`, \`pipeops_agent_session_transport\` |
| \`pipeops_agent_unhealthy_duration_seconds\` | \`pipeops_agent_session_down_seconds\` |
| \`pipeops_agent_heartbeat_failures_total\` | \`pipeops_agent_session_failures_total\` |
| \`pipeops_agent_heartbeat_duration_seconds\` | \`pipeops_agent_session_round_trip_seconds\` |
| \`pipeops_agent_websocket_proxy_active_streams\` | \`pipeops_agent_proxy_requests{state="streams"}\` |
| \`pipeops_agent_websocket_proxy_errors_total\` | \`pipeops_agent_proxy_request_duration_seconds_count{code="5xx"}\` |
| \`pipeops_agent_yamux_*\`, \`pipeops_agent_tcp_tunnel_*\` | \`pipeops_agent_tunnel_*\` |
`;

interface Shape {
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  /** What the fields of an object have that can be named anything. */
  readonly additionalProperties?: Shape | boolean;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly description?: string;
  readonly const?: unknown;
}

/** Each field with its way: `items[].name`; of several shapes those of all. */
function fieldRows(shape: Shape, way = ''): readonly string[] {
  const rows = Object.entries(shape.properties ?? {}).flatMap(([name, field]) => {
    const here = `${way}${name}`;
    return [row(`\`${here}\``, typeText(field)), ...rowsInside(field, here)];
  });
  return [...new Set(rows)];
}

function rowsInside(field: Shape, way: string): readonly string[] {
  return (field.anyOf ?? [field]).flatMap((each) => [
    ...fieldRows(each, `${way}.`),
    ...(each.items === undefined ? [] : rowsInside(each.items, `${way}[]`)),
  ]);
}

function typeText({ type, format, anyOf, items, additionalProperties, ...rest }: Shape): string {
  if (rest.const !== undefined) {
    return `\`${JSON.stringify(rest.const)}\``;
  }
  if (rest.enum !== undefined) {
    return rest.enum.map((each) => `\`${JSON.stringify(each)}\``).join(' or ');
  }
  if (anyOf !== undefined) {
    return [...new Set(anyOf.map(typeText))].join(' or ');
  }
  if (items !== undefined) {
    return `array of ${plural(items)}`;
  }
  if (typeof additionalProperties === 'object' && Object.keys(additionalProperties).length > 0) {
    return `object of ${plural(additionalProperties)} by name`;
  }
  const types = typeof type === 'string' ? type : (type ?? ['anything']).join(' or ');
  return format === undefined ? types : `${types}, ${format}`;
}

/** `strings`, `arrays of strings`, `(string or null)`. */
function plural(shape: Shape): string {
  const text = typeText(shape);
  if (shape.items !== undefined) {
    return text.replace('array', 'arrays');
  }
  return typeof shape.type === 'string' && shape.format === undefined && shape.enum === undefined
    ? text.replace(shape.type, `${shape.type}s`)
    : text.includes(' or ')
      ? `(${text})`
      : text;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

if (import.meta.main) {
  for (const [name, page] of Object.entries(PAGES)) {
    await Bun.write(join(import.meta.dir, '../docs', name), await page());
  }
}
