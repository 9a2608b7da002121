/** Asking the agent, as whoever has opened the link. */
import type { Problem } from '../../protocol/local-status.ts';

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

/** The key of this visit goes with each request; only this origin, with this port, can read it. */
function headers(): Record<string, string> {
  return { 'x-dashboard-key': sessionStorage.getItem(KEY) ?? '' };
}

/** Opens a request below /api and leaves its body to the caller. @throws AskError */
async function open(
  path: string,
  { method = 'GET', signal }: { readonly method?: string; readonly signal: AbortSignal },
): Promise<Response> {
  const response = await fetch(`api/${path}`, { method, signal, headers: headers() }).catch(
    (thrown: unknown) => {
      throw new AskError(0, signal.aborted ? 'no answer' : String(thrown));
    },
  );
  if (!response.ok) {
    throw await refusalOf(response);
  }
  return response;
}

/** The answer of a route below /api. @throws AskError */
export async function ask<Answer>(path: string, method = 'GET'): Promise<Answer> {
  const response = await open(path, { method, signal: AbortSignal.timeout(TIMEOUT_MS) });
  return (await response.json()) as Answer;
}

async function refusalOf(response: Response): Promise<AskError> {
  const problem = (await response.json().catch(() => undefined)) as Partial<Problem> | undefined;
  return new AskError(
    response.status,
    problem?.detail ?? `The agent answered ${response.status}`,
    problem?.hint,
  );
}

/** Uses up the code of a link. @throws AskError where it was used, or is too old */
export async function signIn(code: string): Promise<void> {
  const response = await fetch('sign-in', {
    method: 'POST',
    headers: { 'x-dashboard-code': code },
  });
  if (!response.ok) {
    throw await refusalOf(response);
  }
  sessionStorage.setItem(KEY, ((await response.json()) as { key: string }).key);
}

export async function signOut(): Promise<void> {
  await fetch('sign-out', { method: 'POST', headers: headers() });
  sessionStorage.removeItem(KEY);
}
