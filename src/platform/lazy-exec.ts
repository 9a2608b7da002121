import type { Exec } from '../core/ports.ts';

/** An Exec that loads its library at the first program: most subcommands run none. */
export function lazyExec(deps: Parameters<typeof import('./exec.ts').systemExec>[0]): Exec {
  return {
    run: async (argv, options) => {
      const { systemExec } = await import('./exec.ts');
      return systemExec(deps).run(argv, options);
    },
  };
}
