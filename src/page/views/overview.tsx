import type { ComponentChildren } from 'preact';
import type { DetailedHealth, HealthAnswer } from '../../protocol/local-api.ts';
import type { WorkloadSummary } from '../../protocol/local-cluster.ts';
import type { RealtimeEvent } from '../../protocol/local-realtime.ts';
import { useNow } from '../agent/connection.ts';
import type { Asked } from '../agent/use-answer.ts';
import { useAnswer } from '../agent/use-answer.ts';
import { Age } from '../parts/age.tsx';
import { Badge, type Tone } from '../parts/badge.tsx';
import { Hint } from '../parts/hint.tsx';
import { Trouble } from '../parts/trouble.tsx';
import { bytes, counted, duration } from '../text/format.ts';
import { DayCharts } from './day-charts.tsx';

/** Troubles of the past that are shown. */
const HISTORY_MAX = 8;

type Problem = HealthAnswer['problems'][number];

/** Whether it is well, and if not, what to do. */
export function Overview({ detailed }: { readonly detailed: Asked<DetailedHealth> }) {
  const health = useAnswer('GET /api/health', {}, { isNews: ({ event }) => event === 'health' });
  const isServer = detailed.answer?.agent.role === 'server';
  const summary = useAnswer('GET /api/k8s/summary', isServer ? {} : undefined, {
    isNews: isOfWorkloads,
  });
  return (
    <>
      <Trouble error={health.error ?? detailed.error} />
      {health.answer !== undefined && <Verdict health={health.answer} />}
      {health.answer?.problems.map((problem) => (
        <ProblemCard key={`${problem.warnable}${problem.about}`} problem={problem} />
      ))}
      {detailed.answer !== undefined && (
        <div class="cards">
          <SessionCard health={detailed.answer} />
          <NodesCard health={detailed.answer} />
          {isServer && <WorkloadCard summary={summary.answer} />}
          <AgentCard health={detailed.answer} />
        </div>
      )}
      <DayCharts />
      {health.answer !== undefined && <History health={health.answer} />}
    </>
  );
}

function isOfWorkloads({ event, data }: RealtimeEvent): boolean {
  return event === 'rows' && (data.kinds.includes('deployments') || data.kinds.includes('pods'));
}

function Verdict({ health: { ready, problems } }: { readonly health: HealthAnswer }) {
  const tone: Tone = !ready ? 'bad' : problems.length > 0 ? 'warn' : 'good';
  const text = {
    good: 'All is well',
    warn: `Works, with ${counted(problems.length, 'warning')}`,
    bad: 'Not ready',
    idle: '',
  }[tone];
  return (
    <h1 class="verdict" aria-live="polite">
      <span class={`dot ${tone}`} aria-hidden="true" />
      {text}
    </h1>
  );
}

function ProblemCard({ problem }: { readonly problem: Problem }) {
  const blocks = problem.severity === 'blocks';
  return (
    <article class={`card ${blocks ? 'blocks' : 'warns'}`}>
      <h2>{problem.message}</h2>
      <Hint text={problem.hint} />
      <p class="muted">
        {blocks ? 'Keeps the agent from being ready' : 'A warning'} · for <Age of={problem.since} />
        {problem.times > 1 && ` · ${problem.times} times since the start`} ·{' '}
        <code>{problem.code}</code>
      </p>
    </article>
  );
}

const PHASES: Readonly<Record<string, readonly [Tone, string]>> = {
  connected: ['good', 'Connected'],
  registering: ['warn', 'Registering'],
  standalone: ['idle', 'Standalone'],
  standby: ['idle', 'Stands by'],
  refused: ['bad', 'Refused'],
  unreachable: ['bad', 'Unreachable'],
};

function SessionCard({ health: { session } }: { readonly health: DetailedHealth }) {
  const [tone, text] = PHASES[session.phase] ?? ['idle', session.phase];
  return (
    <section class="card" aria-label="Session">
      <h2>
        Session <Badge tone={tone}>{text}</Badge>
      </h2>
      <dl>
        <Row name="With" value={session.control_plane?.replace('https://', '')} />
        <Row name="By" value={session.transport} />
        <Row name="Since" value={<Age of={session.down_since ?? session.since} isMoment />} />
        <Row
          name="Last contact"
          value={session.last_contact && <Age of={session.last_contact} isMoment />}
        />
        <Row name="Next try" value={session.next_try && <Ahead at={session.next_try} />} />
        <Row name="Holder" value={session.holder} />
        <Row name="Last error" value={session.last_error?.message} />
      </dl>
    </section>
  );
}

function Ahead({ at }: { readonly at: string }) {
  const now = useNow();
  return <>in {duration(Date.parse(at) - now)}</>;
}

function NodesCard({ health: { nodes, server } }: { readonly health: DetailedHealth }) {
  if (server !== undefined && server !== null) {
    return (
      <section class="card" aria-label="Server">
        <h2>
          Server{' '}
          <Badge tone={server.trouble === null ? 'good' : 'bad'}>
            {server.trouble === null ? 'Answers' : 'Silent'}
          </Badge>
        </h2>
        <dl>
          <Row name="Address" value={server.url} />
          <Row name="Trouble" value={server.trouble} />
        </dl>
      </section>
    );
  }
  if (nodes === undefined || nodes === null) {
    return null;
  }
  return (
    <section class="card" aria-label="Nodes">
      <h2>
        Nodes{' '}
        <Badge tone={nodes.ready === nodes.total ? 'good' : 'bad'}>
          {nodes.ready} of {nodes.total} ready
        </Badge>
      </h2>
      <ul class="plain">
        {nodes.list.slice(0, 6).map(({ name, role, ready, since, reason, self }) => (
          <li key={name}>
            <span class={`dot ${ready ? 'good' : 'bad'}`} aria-hidden="true" /> <b>{name}</b>{' '}
            <span class="muted">
              {role}
              {self && ', this machine'}
              {!ready && (
                <>
                  {' '}
                  · not ready <Age of={since} isMoment />
                  {reason !== null && `: ${reason}`}
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
      {nodes.list.length > 6 && <a href="#/nodes">All of them</a>}
    </section>
  );
}

function WorkloadCard({ summary }: { readonly summary: WorkloadSummary | undefined }) {
  if (summary === undefined) {
    return null;
  }
  const { deployments, pods } = summary;
  const phases = Object.entries(pods.by_phase)
    .map(([phase, count]) => `${count.toLocaleString('en')} ${phase.toLowerCase()}`)
    .join(', ');
  return (
    <section class="card" aria-label="Workloads">
      <h2>
        Workloads{' '}
        <Badge tone={deployments.ready === deployments.total ? 'good' : 'warn'}>
          {deployments.ready} of {deployments.total} ready
        </Badge>
      </h2>
      <dl>
        <Row name={counted(pods.total, 'pod')} value={phases} />
        <Row name="Not ready" value={deployments.not_ready.join(', ')} />
      </dl>
      <a href="#/deployments">Look at them</a>
    </section>
  );
}

function AgentCard({ health: { agent, commands } }: { readonly health: DetailedHealth }) {
  return (
    <section class="card" aria-label="Agent">
      <h2>
        Agent <span class="muted">{agent.version}</span>
      </h2>
      <dl>
        <Row name="Cluster" value={agent.cluster_name} />
        <Row name="Id" value={agent.id} />
        <Row name="Runs for" value={duration(agent.uptime_seconds * 1_000)} />
        <Row name="Memory" value={bytes(agent.memory_rss_bytes)} />
        <Row
          name="Commands"
          value={`${commands.running} running, ${commands.succeeded} done, ${commands.failed} failed`}
        />
      </dl>
    </section>
  );
}

function Row({ name, value }: { readonly name: string; readonly value: ComponentChildren }) {
  return value === null || value === undefined || value === '' ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function History({ health }: { readonly health: HealthAnswer }) {
  const past = health.history.filter(({ until }) => until !== null).slice(0, HISTORY_MAX);
  return past.length === 0 ? null : (
    <section class="card" aria-label="What was wrong">
      <h2>What was wrong</h2>
      <ul class="plain">
        {past.map(({ message, since, until, code }) => (
          <li key={`${code}${since}`}>
            {message}{' '}
            <span class="muted">
              · <Age of={until} isMoment />, for{' '}
              {duration(Date.parse(until ?? since) - Date.parse(since))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
