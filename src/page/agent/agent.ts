/** The agent, as whoever has opened the link asks it. */
import { addressOf, type GivenParams } from '../../protocol/local-api-address.ts';
import type { AnswerOf, GivenOf, RouteName } from '../../protocol/local-api-table.ts';
import type { Problem } from '../../protocol/local-status.ts';
import type { MachineClock } from './machine-clock.ts';

const KEY = 'pipeops-agent-key';
/** An answer later than this is of no use: the page asks again. */
const TIMEOUT_MS = 15_000;

/** The agent refused, failed, or did not answer (`status` 0). */
export class AskError extends Error {
  readonly status: number;
  readonly hint: string | undefined;
  constructor(status: number, message: string, hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

export interface Agent {
  readonly clock: MachineClock;
  /** What a route answers. @throws AskError */
  ask<Name extends RouteName>(name: Name, given: GivenOf<Name>): Promise<AnswerOf<Name>>;
  /** The same, whose body the caller reads. @throws AskError */
  open<Name extends RouteName>(
    name: Name,
    given: GivenOf<Name>,
    signal: AbortSignal,
  ): Promise<Response>;
  /** Uses up the code of a link. @throws AskError where it was used, or is too old */
  signIn(code: string): Promise<void>;
  signOut(): Promise<void>;
}

interface AgentDeps {
  readonly clock: MachineClock;
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Monotonic ms. */
  readonly monotonic: () => number;
  /** Keeps the key of this visit; only this origin, with this port, can read it. */
  readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
}

export function agentOf({ clock, fetch, monotonic, storage }: AgentDeps): Agent {
  const headers = () => ({ 'x-dashboard-key': storage.getItem(KEY) ?? '' });
  const open = async (name: RouteName, given: GivenParams, signal: AbortSignal) => {
    const askedAt = monotonic();
    const { method, target } = addressOf(name, given);
    const init = { method, signal, headers: headers() };
    // Below the folder of the page.
    const response = await fetch(target.slice(1), init).catch((thrown: unknown) => {
      throw new AskError(0, signal.aborted ? 'no answer' : String(thrown));
    });
    clock.heard(response.headers.get('date'), askedAt);
    if (!response.ok) {
      throw await refusalOf(response);
    }
    return response;
  };
  return {
    clock,
    open,
    ask: async <Name extends RouteName>(name: Name, given: GivenOf<Name>) => {
      const response = await open(name, given, AbortSignal.timeout(TIMEOUT_MS));
      // The agent and its page are of the same build.
      return (await response.json()) as AnswerOf<Name>;
    },
    signIn: async (code) => {
      const response = await fetch('sign-in', {
        method: 'POST',
        headers: { 'x-dashboard-code': code },
      });
      if (!response.ok) {
        throw await refusalOf(response);
      }
      storage.setItem(KEY, ((await response.json()) as { key: string }).key);
    },
    signOut: async () => {
      await fetch('sign-out', { method: 'POST', headers: headers() });
      storage.removeItem(KEY);
    },
  };
}

/** Whatever was thrown, as something to show. */
export function askErrorOf(thrown: unknown): AskError {
  return thrown instanceof AskError ? thrown : new AskError(0, String(thrown));
}

async function refusalOf(response: Response): Promise<AskError> {
  const problem = (await response.json().catch(() => undefined)) as Partial<Problem> | undefined;
  return new AskError(
    response.status,
    problem?.detail ?? `The agent answered ${response.status}`,
    problem?.hint,
  );
}
