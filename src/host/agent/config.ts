import type { ConfigInput } from '../../config/schema.ts';
import { AGENT_USER, CONFIG_FILE } from '../../core/places.ts';
import type { Files } from '../../core/ports.ts';
import type { Step } from '../engine/steps.ts';

const HEADER = '# Settings of pipeops-agent: pipeops-agent config show explains each.\n';

/** The configuration file, readable by the daemon, writable by root alone. Holds no secret. */
export function agentConfig(deps: { readonly files: Files }, content: ConfigInput): Step {
  const text = HEADER + Bun.YAML.stringify(content, null, 2).trimEnd().concat('\n');
  return {
    id: 'agent-config',
    title: 'Write the configuration',
    touches: [CONFIG_FILE],
    // By content: comments that somebody wrote into it stay.
    isDone: async () => {
      const current = await deps.files.readText(CONFIG_FILE);
      return current !== undefined && Bun.deepEquals(Bun.YAML.parse(current) ?? {}, content);
    },
    apply: () =>
      deps.files.writeAtomic(CONFIG_FILE, text, { mode: 0o640, owner: `root:${AGENT_USER}` }),
  };
}
