import { AgentError } from '../../core/errors.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

/** `doctor --canary` runs it inside the network of a pod. */
export const canaryReachSubcommand = defineSubcommand({
  name: 'canary reach',
  description: 'Tries what its word names, and says what it reached. "doctor --canary" runs it.',
  example: `pipeops-agent canary reach '{"tcp":[],"dns":null}'`,
  flags: {},
  words: [{ name: 'TARGETS', description: 'What to try, as JSON', required: true }],
  needsRoot: false,
  run: async (context, { words }) => {
    const { CanaryTargets } = await import('../../protocol/canary.ts');
    const { reachTargets } = await import('../../machine/canary/reach.ts');
    const targets = CanaryTargets.safeParse(parsed(words.TARGETS), { jitless: true });
    if (!targets.success) {
      throw new AgentError('USAGE', 'TARGETS is not what "canary reach" takes', {
        hint: 'It is run by: sudo pipeops-agent doctor --canary',
      });
    }
    const probe = await context.probe();
    const reached = await reachTargets({ probe, signal: context.signal }, targets.data);
    context.io.stdout(`${JSON.stringify(reached)}\n`);
    return 0;
  },
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
