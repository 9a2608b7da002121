/** Requests about which the policy says `ask`: they wait in root's directory for a person's yes or no. */
import { AgentError } from '../../core/errors.ts';
import { ASKED_LIMIT_BYTES, Asked, type AskedEntry } from '../../protocol/files/asked.ts';
import type { HelperRequest } from '../../protocol/helper.ts';
import type { MachineContext } from '../context.ts';
import { type NotesLockDeps, withNotesLock } from './notes-lock.ts';

/** What nobody has decided by then is forgotten, and so is what was decided. */
const ASKED_FOR_MS = 24 * 3_600_000;
/** Whoever asks for more waits until a person has decided about some. */
const ASKED_MAX = 50;
const ID_LENGTH = 8;

type Deps = Pick<MachineContext, 'clock' | 'files' | 'places'>;
type ChangeDeps = Deps & NotesLockDeps;

/**
 * Lets a request through that a person has approved: this one, with this command behind it, and no other. Who
 * calls this is the only one to carry a request out until `forgetAsked`: a yes is for one time.
 * @throws AgentError APPROVAL_NEEDED where nobody has decided yet, POLICY_DENIED where it was refused, BUSY
 */
export async function requireApproved(deps: ChangeDeps, request: HelperRequest): Promise<void> {
  const id = idOf(request);
  const known = await withNotesLock(deps, () => askedBefore(deps, id, request));
  if (known?.decision === 'approved' && isFor(known, request)) {
    return;
  }
  if (known?.decision === 'refused') {
    throw new AgentError('POLICY_DENIED', 'A person on the machine has refused it', {
      hint: 'Ask them why, then send a new command if need be',
      details: { rule: 'ask/refused' },
    });
  }
  throw new AgentError('APPROVAL_NEEDED', `A person on the machine must approve it: ${id}`, {
    hint: `Run there: sudo pipeops-agent host approve ${id}`,
    details: { id },
  });
}

/** @returns what was asked for under this id before; undefined where it is asked for now */
async function askedBefore(
  deps: Deps,
  id: string,
  request: HelperRequest,
): Promise<AskedEntry | undefined> {
  const asked = await readAsked(deps);
  const known = asked.find((entry) => entry.id === id);
  if (known === undefined) {
    if (asked.length >= ASKED_MAX) {
      throw new AgentError('BUSY', `${ASKED_MAX} requests wait for a person already`, {
        hint: 'Decide about them on the machine: sudo pipeops-agent host asked',
      });
    }
    const at = deps.clock.now().toISOString();
    await writeAsked(deps, [...asked, { id, at, request, decision: null }]);
  }
  return known;
}

/** Once it was done: a person's yes is for one time. */
export async function forgetAsked(deps: ChangeDeps, request: HelperRequest): Promise<void> {
  await withNotesLock(deps, async () => {
    const asked = await readAsked(deps);
    await writeAsked(
      deps,
      asked.filter((entry) => !isFor(entry, request)),
    );
  });
}

/** Two requests may have the same id, which is short. */
function isFor(entry: AskedEntry, request: HelperRequest): boolean {
  return JSON.stringify(entry.request) === JSON.stringify(request);
}

function idOf(request: HelperRequest): string {
  const digest = new Bun.CryptoHasher('sha256').update(JSON.stringify(request)).digest('hex');
  return digest.slice(0, ID_LENGTH);
}

/** What was asked for within a day, oldest first. @throws AgentError FILE_ACCESS */
export async function readAsked({ clock, files, places }: Deps): Promise<readonly AskedEntry[]> {
  const text = await files.readText(places.askedFile, ASKED_LIMIT_BYTES);
  const since = clock.now().getTime() - ASKED_FOR_MS;
  const asked = Asked.safeParse(jsonOf(text)).data?.asked ?? [];
  return asked.filter(({ at }) => Date.parse(at) > since);
}

/** @throws AgentError NOT_FOUND, FILE_ACCESS, BUSY */
export async function decideAsked(
  deps: ChangeDeps,
  id: string,
  decision: 'approved' | 'refused',
): Promise<AskedEntry> {
  return await withNotesLock(deps, () => decide(deps, id, decision));
}

async function decide(
  deps: Deps,
  id: string,
  decision: 'approved' | 'refused',
): Promise<AskedEntry> {
  const asked = await readAsked(deps);
  const found = asked.find((entry) => entry.id === id);
  if (found === undefined) {
    throw new AgentError('NOT_FOUND', `Nothing was asked for under "${id}" within a day`, {
      hint: 'See what was: sudo pipeops-agent host asked',
    });
  }
  const decided = { ...found, decision };
  await writeAsked(
    deps,
    asked.map((entry) => (entry === found ? decided : entry)),
  );
  return decided;
}

async function writeAsked({ files, places }: Deps, asked: readonly AskedEntry[]): Promise<void> {
  const content: Asked = { v: 1, asked: [...asked] };
  await files.writeAtomic(places.askedFile, `${JSON.stringify(content, null, 2)}\n`, {
    mode: 0o600,
  });
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
