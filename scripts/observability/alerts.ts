/** Alerts beside those of the objectives: what a person should know of one agent. */

export interface Alert {
  readonly name: string;
  readonly expr: string;
  /** How long it must be so: `10m`. */
  readonly holds: string;
  readonly severity: 'page' | 'ticket';
  readonly summary: string;
  readonly remedy: string;
}

const MIB = 1024 ** 2;
const PRIVATE_MEMORY_MIB_MAX = 256;
const LAG = 'pipeops_agent_event_loop_lag_seconds';

export const ALERTS: readonly Alert[] = [
  {
    name: 'PipeopsAgentDown',
    expr: 'up{job="pipeops-agent"} == 0',
    ...{ holds: '5m', severity: 'page' },
    summary: 'The agent cannot be scraped',
    remedy:
      'Is the machine there? `systemctl status pipeops-agent` and its log tell whether the agent runs, and `journalctl -u pipeops-agent | grep metrics` whether its door for scrapers is open. Certificate and token of the scraper may be old, too.',
  },
  {
    name: 'PipeopsAgentNotReady',
    expr: 'pipeops_agent_ready == 0',
    ...{ holds: '10m', severity: 'page' },
    summary: 'The agent is not ready',
    remedy: '`sudo pipeops-agent status` names the reasons, each with what to do.',
  },
  {
    name: 'PipeopsAgentProblem',
    expr: 'pipeops_agent_problems > 0 and on (job, instance) pipeops_agent_ready == 1',
    ...{ holds: '30m', severity: 'ticket' },
    summary: 'The agent warns of {{ $labels.warnable }}',
    remedy: 'Look it up in TROUBLESHOOTING.md, "Health", or ask `sudo pipeops-agent status`.',
  },
  {
    name: 'PipeopsAgentSessionDown',
    expr: 'pipeops_agent_session_down_seconds > 600',
    ...{ holds: '1m', severity: 'page' },
    summary: 'There has been no session with the control plane for 10 minutes',
    remedy:
      '`sudo pipeops-agent status` tells the last error and the next try; `sudo pipeops-agent doctor` looks at name, proxy, certificate and clock.',
  },
  {
    name: 'PipeopsAgentCommandsWait',
    expr: 'pipeops_agent_commands_oldest_seconds{state=~"accepted|undelivered"} > 900',
    ...{ holds: '5m', severity: 'ticket' },
    summary: 'A command has been {{ $labels.state }} for 15 minutes',
    remedy:
      '`sudo pipeops-agent commands list` shows it. `accepted`: another command of the same application has not ended, or the cluster cannot be written. `undelivered`: the control plane does not take the result.',
  },
  {
    name: 'PipeopsAgentWatchLags',
    expr: 'pipeops_agent_watch_lag_seconds > 300',
    ...{ holds: '1m', severity: 'ticket' },
    summary: 'What the agent knows of {{ $labels.kind }} is old',
    remedy:
      'The Kubernetes API does not answer, or refuses it: `journalctl -u pipeops-agent | grep "cannot follow"`, `journalctl -u k3s`.',
  },
  {
    name: 'PipeopsAgentCertificateEnds',
    expr: 'pipeops_agent_certificate_end_timestamp_seconds - time() < 14 * 86400',
    ...{ holds: '1h', severity: 'ticket' },
    summary: 'The certificate of the {{ $labels.certificate }} ends within two weeks',
    remedy: 'k3s renews its certificates when it starts: `sudo systemctl restart k3s`.',
  },
  {
    name: 'PipeopsAgentRestarts',
    expr: 'changes(process_start_time_seconds{job="pipeops-agent"}[1h]) > 3',
    ...{ holds: '0m', severity: 'ticket' },
    summary: 'The agent was started again more than three times within an hour',
    remedy: '`journalctl -u pipeops-agent` has why it ended; the exit codes are in CLI.md.',
  },
  {
    name: 'PipeopsAgentEventLoopLags',
    expr: `1 - rate(${LAG}_bucket{le="0.25"}[15m]) / ignoring (le) rate(${LAG}_bucket{le="+Inf"}[15m]) > 0.05`,
    ...{ holds: '15m', severity: 'ticket' },
    summary: 'The agent is slow: its event loop is late by more than 250 ms',
    remedy:
      'The machine has too little processor time (`top`, `/proc/pressure/cpu`), or it swaps. If it is idle, it is a bug: send a support bundle.',
  },
  {
    name: 'PipeopsAgentMemory',
    expr: `pipeops_agent_private_memory_bytes > ${PRIVATE_MEMORY_MIB_MAX * MIB}`,
    ...{ holds: '30m', severity: 'ticket' },
    summary: `The agent has more than ${PRIVATE_MEMORY_MIB_MAX} MiB of its own`,
    remedy:
      'Expected only on clusters with more than 20 000 pods. Else it is a leak: send a support bundle, then `sudo systemctl restart pipeops-agent`.',
  },
];
