/** Gives the agent commands, as the control plane's people do. */
import { waitUntil } from '../../vm/wait-until.ts';
import { type ControlPlaneProcess, RefusedError } from './control-plane-process.ts';
import type { Ledger } from './ledger.ts';

const RESULT_TIMEOUT_MS = 120_000;
/** It is done already, or was never given out. */
const CANNOT_CANCEL = 409;

export interface Commander {
  /** Gives a command. @returns its id */
  give(type: string, payload: Readonly<Record<string, unknown>>): Promise<string>;
  /** Cancels it, unless it is done. */
  cancel(id: string): Promise<void>;
  /** Waits until a command has its result, and that this is a success. */
  succeeded(id: string): Promise<void>;
}

export function commander(
  controlPlane: ControlPlaneProcess,
  ledger: Ledger,
  agentId: string,
): Commander {
  const commands = `/agents/${agentId}/commands`;
  return {
    give: async (type, payload) => {
      const init = { method: 'POST', body: JSON.stringify({ type, payload }) };
      return (await controlPlane.admin<{ id: string }>(commands, init)).id;
    },
    cancel: async (id) => {
      try {
        await controlPlane.admin(`${commands}/${id}/cancel`, { method: 'POST' });
      } catch (thrown) {
        if (!(thrown instanceof RefusedError && thrown.status === CANNOT_CANCEL)) {
          throw thrown;
        }
      }
    },
    succeeded: async (id) => {
      const entry = await waitUntil(`command ${id} has a result`, RESULT_TIMEOUT_MS, async () =>
        ledger.all().find((each) => each.id === id && each.state === 'done'),
      );
      if (entry.result?.success !== true) {
        throw new Error(`${entry.type} failed: ${JSON.stringify(entry.result)}`);
      }
    },
  };
}
