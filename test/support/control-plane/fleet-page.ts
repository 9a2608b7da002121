import type { ShownAgent } from './admin-api.ts';

/** A page with the fleet, for people. Everything an agent said is escaped. */
export function fleetPage(agents: readonly ShownAgent[]): string {
  const rows = agents.map((agent) => {
    const nodes = agent.last_status?.nodes ?? [];
    const ready = nodes.filter((node) => node.ready).length;
    return `<tr>${[
      agent.id,
      agent.cluster_name,
      agent.version,
      agent.transport,
      sessionText(agent),
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

function sessionText({ session, transport, left_at, seen_at }: ShownAgent): string {
  switch (session) {
    case 'connected':
      return transport === 'rest' ? 'polls' : 'connected';
    case 'stopped':
    case 'down':
      return seen_at === null ? session : `${session} since ${seen_at}`;
    case 'gone':
      return `gone since ${left_at}`;
  }
}
