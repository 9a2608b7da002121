import { AgentError } from '../../core/errors.ts';
import { firstAnswer } from '../../core/first-answer.ts';
import { K3S_DATA_DIRECTORY, K3S_UNITS, type K3sRole } from '../../core/k3s-places.ts';
import { KUBELET_HEALTH_URLS } from '../../core/k3s-ports.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Http } from '../../core/ports.ts';
import { pollUntil, within } from '../../core/waiting.ts';
import { diskFull } from '../engine/disk-full.ts';
import { explainingLine } from '../engine/explaining-line.ts';
import { interrupted } from '../engine/interrupted.ts';
import type { TellPart } from '../engine/resource.ts';
import { activeState } from '../engine/systemctl.ts';
import { hasFailed, type UnitReport, type UnitWatch } from '../engine/unit-watch.ts';
import { kubectl } from './kubectl.ts';
import { REFUSED_FOR_MS, rejectionOf } from './rejection.ts';

/** A first start imports images and makes certificates. On a slow disk that takes minutes. */
const READY_TIMEOUT_MS = 10 * 60_000;
/** A server is asked by kubectl, which takes processor time that its start needs; a worker's kubelet is not. */
const POLL_INTERVAL_MS: Readonly<Record<K3sRole, number>> = { server: 500, agent: 150 };
const PROBE_TIMEOUT_MS = 2_000;
/** Lines of the journal in which a rejection is looked for. An earlier one was overcome. */
const REJECTION_LINES = 5;
/** Lines of the journal that an error contains. */
const SHOWN_LINES = 5;

interface ReadyDeps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly places: Places;
  readonly http: Http;
}

export interface NodeWait {
  readonly role: K3sRole;
  readonly hostname: string;
}

export interface NodeNews {
  /** Hears the last line of k3s' journal. */
  readonly update: (text: string) => void;
  readonly tellPart: TellPart;
}

/**
 * Waits until this machine is a Ready node.
 * @param watch of k3s' unit; earlier lines of its journal do not count
 * @throws AgentError K3S_NOT_READY, NODE_NOT_READY, JOIN_TOKEN_REJECTED, NODE_NAME_TAKEN, DISK_FULL, INTERRUPTED
 */
export async function waitForNode(
  deps: ReadyDeps & { readonly watch: UnitWatch },
  waiting: NodeWait,
  { update, tellPart }: NodeNews,
  signal: AbortSignal,
): Promise<void> {
  const { role, hostname } = waiting;
  const startedAt = deps.clock.monotonic();
  let upAt: number | undefined;
  const pace = { everyMs: POLL_INTERVAL_MS[role], limitMs: READY_TIMEOUT_MS };
  let refusedAt: number | undefined;
  const end = await pollUntil(deps.clock, pace, signal, async () => {
    const isUp = await isK3sActive(deps, role);
    upAt ??= isUp ? deps.clock.monotonic() : undefined;
    if (isUp && (await isActiveNodeReady(deps, role, hostname))) {
      return { found: true };
    }
    const report = await deps.watch.look();
    const failure = finalFailure(report, waiting);
    const now = deps.clock.monotonic();
    const mayPass = failure?.code === 'JOIN_TOKEN_REJECTED' && !hasFailed(report);
    refusedAt ??= mayPass ? now : undefined;
    if (failure !== undefined && !(mayPass && now - (refusedAt ?? now) < REFUSED_FOR_MS)) {
      throw failure;
    }
    update(report.lines.at(-1) ?? 'k3s starts');
    return { soFar: report };
  });
  if (end.kind === 'aborted') {
    throw interrupted('while waiting for k3s');
  }
  if (end.kind === 'late') {
    throw upAt === undefined
      ? notReady(end.soFar, role)
      : nodeNotReady(end.soFar, waiting, await whyNotReady(deps, waiting));
  }
  const nodeFrom = upAt ?? startedAt;
  tellPart('start of k3s', nodeFrom - startedAt);
  tellPart('node Ready', deps.clock.monotonic() - nodeFrom);
}

/** Why there is no use in waiting; undefined while it may help. */
function finalFailure(report: UnitReport, { role, hostname }: NodeWait): AgentError | undefined {
  // A server's journal also has rejections of other machines, a worker's only of itself.
  const rejection =
    role === 'agent'
      ? rejectionOf(report.lines.slice(-REJECTION_LINES), hostname.toLowerCase())
      : undefined;
  const full = diskFull(report.lines.join('\n'), 'start k3s', K3S_DATA_DIRECTORY);
  return rejection ?? full ?? (hasFailed(report) ? notReady(report, role) : undefined);
}

function notReady(report: UnitReport, role: K3sRole): AgentError {
  return new AgentError('K3S_NOT_READY', `k3s did not become ready: ${explainingLine(report)}`, {
    hint: `Look at: journalctl -u ${K3S_UNITS[role]}`,
    details: { last_lines: report.lines.slice(-SHOWN_LINES) },
  });
}

/** k3s itself is up: what is missing is the node's. @param why in the kubelet's own words */
function nodeNotReady(report: UnitReport, { role, hostname }: NodeWait, why: string): AgentError {
  return new AgentError(
    'NODE_NOT_READY',
    `k3s runs, and node "${hostname.toLowerCase()}" is not Ready: ${why}`,
    {
      hint: `Look at: journalctl -u ${K3S_UNITS[role]}`,
      details: { last_lines: report.lines.slice(-SHOWN_LINES) },
    },
  );
}

async function whyNotReady(deps: ReadyDeps, { role, hostname }: NodeWait): Promise<string> {
  const path = '{.status.conditions[?(@.type=="Ready")].message}';
  const asked = ['get', 'node', hostname.toLowerCase(), '-o', `jsonpath=${path}`];
  const said = role === 'server' ? (await kubectl(deps, asked)).stdout.trim() : '';
  return said === '' ? 'its kubelet does not say why' : said;
}

/** Whether k3s runs and its node is Ready. */
export async function isNodeReady(
  deps: ReadyDeps,
  role: K3sRole,
  hostname: string,
): Promise<boolean> {
  return (await isK3sActive(deps, role)) && (await isActiveNodeReady(deps, role, hostname));
}

/** k3s tells systemd so once its own parts run. */
async function isK3sActive(deps: Pick<ReadyDeps, 'exec'>, role: K3sRole): Promise<boolean> {
  return (await activeState(deps, K3S_UNITS[role])) === 'active';
}

/** A server asks its own API. A worker has no credentials for that and asks its kubelet. */
async function isActiveNodeReady(
  deps: ReadyDeps,
  role: K3sRole,
  hostname: string,
): Promise<boolean> {
  return role === 'server' ? isApiNodeReady(deps, hostname) : isKubeletHealthy(deps);
}

async function isApiNodeReady(
  deps: Pick<ReadyDeps, 'exec' | 'places'>,
  hostname: string,
): Promise<boolean> {
  const path = '{.status.conditions[?(@.type=="Ready")].status}';
  const name = hostname.toLowerCase();
  const result = await kubectl(deps, ['get', 'node', name, '-o', `jsonpath=${path}`]);
  return result.exitCode === 0 && result.stdout.trim() === 'True';
}

async function isKubeletHealthy({ clock, http }: ReadyDeps): Promise<boolean> {
  try {
    return await within(
      clock,
      PROBE_TIMEOUT_MS,
      undefined,
      async (signal) => (await firstAnswer(KUBELET_HEALTH_URLS, (url) => http(url, { signal }))).ok,
    );
  } catch {
    return false; // It does not listen yet, and so is not healthy.
  }
}
