import type { AskError } from '../agent/agent.ts';
import { Hint } from './hint.tsx';

/** Why there is no newer answer. What was answered before stays. */
export function Trouble({ error }: { readonly error: AskError | undefined }) {
  return error === undefined ? null : (
    <div class="card warns" role="alert">
      <p>{error.status === 0 ? `The agent does not answer: ${error.message}` : error.message}</p>
      <Hint text={error.hint} />
    </div>
  );
}
