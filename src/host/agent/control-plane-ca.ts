import { AGENT_USER, CONTROL_PLANE_CA_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { Step } from '../engine/steps.ts';

/** A copy that the daemon can read: the file it was given may stand in somebody's home. */
export function controlPlaneCa(deps: { readonly files: Files }, pem: string): Step {
  return {
    id: 'control-plane-ca',
    title: "Keep the control plane's CA certificate",
    touches: [CONTROL_PLANE_CA_FILE],
    isDone: async () => (await deps.files.readText(CONTROL_PLANE_CA_FILE)) === pem,
    apply: () =>
      deps.files.writeAtomic(CONTROL_PLANE_CA_FILE, pem, {
        mode: 0o640,
        owner: `root:${AGENT_USER}`,
      }),
  };
}
