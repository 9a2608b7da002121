import type { ShownAgent } from './admin-api.ts';

/** A REST agent that has sent no heartbeat for so long is down, or gone: nobody can tell. */
const SILENT_AFTER_MS = 120_000;

/** A page with the fleet, for people. Everything an agent said is escaped. */
export function fleetPage(agents: readonly ShownAgent[], now: Date): string {
  const rows = agents.map((agent) => {
    const nodes = agent.last_status?.nodes ?? [];
    const ready = nodes.filter((node) => node.ready).length;
    return `<tr>${[
      agent.id,
      agent.cluster_name,
      agent.version,
      agent.transport,
      sessionOf(agent, now),
      agent.last_heartbeat_at ?? 'never',
      `${ready} of ${nodes.length}`,
      String(agent.protocol_errors.length),
    ]
      .map((text) => `<td>${Bun.escapeHTML(text)}</td>`)
      .join('')}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>Fleet</title>
<style>body { font: 16px system-ui; margin: 2rem } td, th { padding: .3rem 1rem; text-align: left }</style>
<h1>Fleet</h1>
<table>
<tr><th>Agent<th>Cluster<th>Version<th>Transport<th>Session<th>Last heartbeat<th>Nodes ready<th>Protocol errors</tr>
${rows.join('\n')}
</table>
</html>
`;
}

/** `left` was stopped or taken off its machine; `down` went away without a word. */
function sessionOf(agent: ShownAgent, now: Date): string {
  if (agent.transport === 'rest') {
    const last = new Date(agent.last_heartbeat_at ?? now).getTime();
    return now.getTime() - last > SILENT_AFTER_MS ? 'silent' : 'polls';
  }
  if (agent.connected) {
    return 'connected';
  }
  return agent.has_left ? 'left' : 'down';
}
