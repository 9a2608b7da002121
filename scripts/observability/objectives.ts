/** What is promised of an agent (SLOs), and when the budget for breaking it is used up too fast. */

export interface Objective {
  /** Part of the names of its recording rules: `session_down`. */
  readonly id: string;
  /** Of its alerts: `PipeopsAgentSession`. */
  readonly alert: string;
  /** What is promised, as a sentence. */
  readonly promise: string;
  /** Share of time or requests that may break it. */
  readonly budget: number;
  /** The share that broke it within a window such as `5m`. */
  readonly broken: (window: string) => string;
  readonly remedy: string;
}

const BY = 'sum by (job, instance)';
const COMMANDS = 'pipeops_agent_command_duration_seconds';
const PROXY = 'pipeops_agent_proxy_request_duration_seconds_count';

export const OBJECTIVES: readonly Objective[] = [
  {
    id: 'session_down',
    alert: 'PipeopsAgentSession',
    promise: 'A session with the control plane is there 99.9 % of the time that one is wanted.',
    budget: 0.001,
    broken: (window) => `avg_over_time(pipeops_agent:session_down:bool[${window}])`,
    remedy:
      'On the machine: `sudo pipeops-agent status` tells why, and `sudo pipeops-agent doctor` whether the way to the control plane is open. Where many machines are affected at once, look at the control plane first.',
  },
  {
    id: 'commands_slow',
    alert: 'PipeopsAgentCommands',
    promise: '95 % of the commands end within 60 s.',
    budget: 0.05,
    broken: (window) =>
      `1 - ${BY} (rate(${COMMANDS}_bucket{le="60"}[${window}])) / ${BY} (rate(${COMMANDS}_count[${window}]))`,
    remedy:
      'The panel "Commands" tells which type is slow, and its exemplars name commands: `sudo pipeops-agent commands show ID`. A deploy that waits for pods that do not start is the usual cause.',
  },
  {
    id: 'proxy_errors',
    alert: 'PipeopsAgentProxy',
    promise: '99.5 % of the proxied requests are answered without a server error.',
    budget: 0.005,
    broken: (window) =>
      `${BY} (rate(${PROXY}{code="5xx"}[${window}])) / ${BY} (rate(${PROXY}[${window}]))`,
    remedy:
      'Whether Kubernetes itself answers so: `sudo kubectl get --raw /readyz`, `journalctl -u k3s`. If it does not, the agent says why in `journalctl -u pipeops-agent`.',
  },
];

/** Recorded, so that alerts and dashboards read one number. */
export const WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'];

export interface Burn {
  readonly severity: 'page' | 'ticket';
  /** A long window says that it matters, a short one that it still goes on. */
  readonly pairs: readonly {
    readonly long: string;
    readonly short: string;
    readonly rate: number;
  }[];
  readonly meaning: string;
}

/** Multi-window, multi-burn-rate (Site Reliability Workbook, "Alerting on SLOs"), for 30 days. */
export const BURNS: readonly Burn[] = [
  {
    severity: 'page',
    pairs: [
      { long: '1h', short: '5m', rate: 14.4 },
      { long: '6h', short: '30m', rate: 6 },
    ],
    meaning: 'the budget of 30 days is gone within 5 days',
  },
  {
    severity: 'ticket',
    pairs: [
      { long: '1d', short: '2h', rate: 3 },
      { long: '3d', short: '6h', rate: 1 },
    ],
    meaning: 'the budget of 30 days is gone before they end',
  },
];
