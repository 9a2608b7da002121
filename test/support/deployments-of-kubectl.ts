import type { Exec } from '../../src/core/ports.ts';

/** A kubectl that lists these Deployments, each with its fields, behind the mark that it is asked to begin each with. */
export function deploymentsOfKubectl(
  deployments: readonly (readonly string[])[],
): Pick<Exec, 'run'> {
  return {
    run: async (argv) => {
      const [, mark] = /\{range \.items\[\*\]\}\{"([^"]+)"\}/.exec(argv.join(' ')) ?? [];
      const stdout = deployments.map((fields) => `${mark}${fields.join('\t')}`).join('');
      return { exitCode: 0, stdout, stderr: '' };
    },
  };
}
