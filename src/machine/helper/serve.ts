/** One request of the daemon that needs root: who asks, what, whether the local policy allows it. */
import { AgentError, toAgentError } from '../../core/errors.ts';
import { AGENT_USER } from '../../core/places.ts';
import type { HandedConnection, Peer } from '../../core/ports.ts';
import { issueWords } from '../../core/text/issue-words.ts';
import { pollUntil } from '../../core/waiting.ts';
import { requireAllowed } from '../../policy/decision.ts';
import { effectivePolicy } from '../../policy/effective.ts';
import { readPolicyFile } from '../../policy/read-file.ts';
import { isWithin, outsideWindow } from '../../policy/windows.ts';
import { HELPER_REQUEST_BYTES_MAX, HelperRequest } from '../../protocol/helper.ts';
import type { HelperLine } from '../../protocol/helper-line.ts';
import type { MachineContext } from '../context.ts';
import { forgetAsked, requireApproved } from './approval.ts';
import { type HelperJournal, helperJournal } from './journal.ts';
import { carryOut, decisionOf } from './verbs.ts';

/** The daemon sends its request at once. */
const REQUEST_LIMIT_MS = 5_000;
/** How long a request waits for the one before it. */
const TURN_LIMIT_MS = 30_000;
const TURN_POLL_MS = 200;

/**
 * Answers one connection. Every failure is an answer and a line of the journal, and none ends this with
 * an error: systemd would count it as a failed unit.
 */
export async function serveHelper(
  context: MachineContext,
  connection: HandedConnection,
): Promise<void> {
  const answer = (line: HelperLine) => connection.write(`${JSON.stringify(line)}\n`);
  const peer = connection.peer();
  const journal = helperJournal(context, peer);
  let request: HelperRequest | undefined;
  try {
    await requireKnown(context, peer);
    request = await readRequest(connection);
    const data = await inTurn(context, journal, request, answer);
    await answer({ data });
  } catch (thrown) {
    const { code, message, hint, details } = toAgentError(thrown);
    // A disk that is full must not keep the daemon from its answer.
    await journal.refused(code, request).catch(() => undefined);
    context.log.warn('a request was not carried out', { error_code: code, error: message });
    const facts = { ...(hint && { hint }), ...(details && { details }) };
    await answer({ error: { code, message, ...facts } });
  }
}

/** @throws AgentError NOT_ROOT unless the kernel says that root or the daemon's user has connected */
async function requireKnown({ files }: MachineContext, peer: Peer | undefined): Promise<void> {
  const passwd = (await files.readText('/etc/passwd')) ?? '';
  const accounts = passwd.split('\n').map((line) => line.split(':'));
  const daemon = accounts.find(([name]) => name === AGENT_USER)?.[2];
  if (peer === undefined || (peer.uid !== 0 && String(peer.uid) !== daemon)) {
    throw new AgentError('NOT_ROOT', 'Only root and the agent may ask the helper', {
      hint: 'Run the subcommand with sudo instead: pipeops-agent --help',
    });
  }
}

async function readRequest(connection: HandedConnection): Promise<HelperRequest> {
  const line = await connection.readLine({ bytes: HELPER_REQUEST_BYTES_MAX, ms: REQUEST_LIMIT_MS });
  const parsed = HelperRequest.safeParse(jsonOf(line), { error: issueWords });
  if (parsed.success) {
    return parsed.data;
  }
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.') || 'request'}: ${issue.message}`,
  );
  throw new AgentError('USAGE', `The helper has no such request: ${problems.join('; ')}`, {
    hint: 'Agent and helper may be of different versions: sudo systemctl restart pipeops-agent',
    details: { problems },
  });
}

function jsonOf(line: string | undefined): unknown {
  try {
    return JSON.parse(line ?? '');
  } catch {
    return undefined;
  }
}

async function inTurn(
  context: MachineContext,
  journal: HelperJournal,
  request: HelperRequest,
  answer: (line: HelperLine) => Promise<void>,
): Promise<Readonly<Record<string, unknown>>> {
  const file = await readPolicyFile(context, context.places.policyFile);
  const { decision, isAsked, hostVerb } = decisionOf(effectivePolicy(file), request);
  requireAllowed(decision);
  const windows = hostVerb === undefined ? [] : (file.windows[hostVerb] ?? []);
  if (hostVerb !== undefined && !isWithin(windows, context.clock.now())) {
    throw outsideWindow(windows, hostVerb);
  }
  const release = await takeTurn(context, request.verb);
  try {
    if (isAsked) {
      await requireApproved(context, request);
    }
    return await journal.around(request, async () => {
      const data = await carryOut(context, request, (progress) => answer({ progress }));
      if (isAsked) {
        await forgetAsked(context, request);
      }
      return data;
    });
  } finally {
    release();
  }
}

/** One request at a time; the lock ends with the process that holds it. @throws AgentError BUSY */
async function takeTurn(context: MachineContext, verb: string): Promise<() => void> {
  const pace = { everyMs: TURN_POLL_MS, limitMs: TURN_LIMIT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const lock = context.lock(context.places.helperLockFile, verb);
    return 'heldBy' in lock ? { soFar: lock.heldBy } : { found: lock.release };
  });
  switch (end.kind) {
    case 'found':
      return end.found;
    case 'late':
      throw new AgentError('BUSY', `The helper is still busy with "${end.soFar}"`, {
        hint: 'Try again later',
      });
    case 'aborted':
      throw new AgentError('INTERRUPTED', 'Interrupted while waiting for another request');
  }
}
