/** The fleet, for people: what is seen of each agent, as it is now. Everything an agent said is escaped. */
import { formatDuration } from '../../../src/core/text/duration.ts';
import type { ShownAgent } from './admin-api.ts';
import type { CommandRecord } from './store.ts';

/** Protocol errors of an agent that are shown, the newest. */
const ERRORS_MAX = 20;
/** Nodes, routes and tunnels of an agent that are shown. */
const ROWS_MAX = 50;
const SECOND_MS = 1_000;

/** Nothing from anywhere else, nothing inline, in no frame. */
export const FLEET_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export function fleetPage(agents: readonly ShownAgent[], now: Date): string {
  const down = agents.filter(({ session }) => session === 'down').length;
  const table = tableOf(
    'Agents',
    ['Agent', 'Cluster', 'Version', 'Session', 'Heartbeat', 'Nodes ready', 'Protocol errors'],
    agents.map((agent) => [
      `<a href="/agents/${encodeURIComponent(agent.id)}">${escaped(agent.id)}</a>`,
      escaped(agent.cluster_name),
      escaped(agent.version),
      sessionBadge(agent, now),
      escaped(ago(agent.last_heartbeat_at, now)),
      escaped(nodesText(agent)),
      String(agent.protocol_errors.length),
    ]),
  );
  const verdict =
    down === 0 ? `${agents.length} known, none is down` : `${down} of ${agents.length} are down`;
  return document('Fleet', `<h1>Fleet <small>${verdict}</small></h1>${table}`);
}

export function agentPage(
  agent: ShownAgent,
  commands: readonly CommandRecord[],
  now: Date,
): string {
  const nodes = agent.last_status?.nodes ?? [];
  return document(
    agent.id,
    [
      `<p><a href="/">Fleet</a></p>`,
      `<h1>${escaped(agent.id)} ${sessionBadge(agent, now)}</h1>`,
      factsOf([
        ['Cluster', agent.cluster_name],
        ['Version', agent.version],
        ['Transport', agent.transport],
        ['Last heartbeat', ago(agent.last_heartbeat_at, now)],
        ['Nodes ready', nodesText(agent)],
      ]),
      tableOf(
        'Nodes',
        ['Node', 'Ready', 'Version'],
        nodes
          .slice(0, ROWS_MAX)
          .map(({ name, ready, version }) => [
            escaped(name),
            badge(ready ? 'good' : 'bad', ready ? 'ready' : 'not ready'),
            escaped(version),
          ]),
      ),
      tableOf(
        'Commands',
        ['Command', 'State', 'Came', 'Id'],
        commands.map(({ id, type, state, result, created_at }) => [
          escaped(type),
          badge(
            result === null ? 'idle' : result.success ? 'good' : 'bad',
            result === null
              ? state
              : result.success
                ? 'succeeded'
                : (result.error_code ?? 'failed'),
          ),
          escaped(ago(created_at, now)),
          `<code>${escaped(id)}</code>`,
        ]),
      ),
      tableOf(
        'Routes',
        ['Host', 'Path', 'Service'],
        agent.routes
          .slice(0, ROWS_MAX)
          .map(({ hostname, path, namespace, service_name, service_port }) => [
            escaped(hostname),
            escaped(path),
            escaped(`${namespace}/${service_name}:${service_port}`),
          ]),
      ),
      tableOf(
        'Protocol errors',
        ['What the agent did against the protocol'],
        agent.protocol_errors.slice(-ERRORS_MAX).map((error) => [escaped(error)]),
      ),
    ].join('\n'),
  );
}

function document(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/fleet.css">
<script src="/fleet.js" defer></script>
</head>
<body>
<main>
${main}
</main>
</body>
</html>
`;
}

/** @param rows cells as HTML */
function tableOf(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = columns.map((column) => `<th scope="col">${column}</th>`).join('');
  const body = rows
    .map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
    .join('\n');
  const table =
    rows.length === 0
      ? '<p class="muted">None</p>'
      : `<div class="scroll" role="region" aria-label="${title}" tabindex="0">
<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
  return `<h2>${title}</h2>\n${table}`;
}

function factsOf(facts: readonly (readonly [string, string])[]): string {
  const rows = facts.map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`);
  return `<dl>${rows.join('')}</dl>`;
}

function sessionBadge(agent: ShownAgent, now: Date): string {
  const { session, transport, left_at, seen_at } = agent;
  switch (session) {
    case 'connected':
      return badge('good', transport === 'rest' ? 'polls' : 'connected');
    case 'stopped':
    case 'down': {
      const since = seen_at === null ? '' : ` since ${ago(seen_at, now)}`;
      return badge(session === 'down' ? 'bad' : 'idle', `${session}${since}`, seen_at);
    }
    case 'gone':
      return badge('idle', `gone since ${ago(left_at, now)}`, left_at);
  }
}

function badge(tone: 'good' | 'bad' | 'idle', text: string, at: string | null = null): string {
  const title = at === null ? '' : ` title="${escaped(at)}"`;
  return `<span class="badge ${tone}"${title}>${escaped(text)}</span>`;
}

function nodesText({ last_status }: ShownAgent): string {
  const nodes = last_status?.nodes;
  return nodes === undefined || nodes === null
    ? 'not known'
    : `${nodes.filter(({ ready }) => ready).length} of ${nodes.length}`;
}

/** By the clock of this control plane. */
function ago(at: string | null, now: Date): string {
  if (at === null) {
    return 'never';
  }
  const seconds = Math.round((now.getTime() - Date.parse(at)) / SECOND_MS);
  return seconds < 1 ? 'just now' : `${formatDuration(seconds * SECOND_MS)} ago`;
}

const escaped = (text: string) => Bun.escapeHTML(text);
