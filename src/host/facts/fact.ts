import type { Files } from '../../core/ports.ts';

/** What facts are read with. */
export interface FactDeps {
  readonly files: Files;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** By which others reach this machine. */
  readonly addresses: () => readonly string[];
}

/** Something that is so on this machine. Reading it changes nothing. */
export interface Fact<T> {
  /** As data names it: `memory`. */
  readonly id: string;
  /** @throws AgentError FILE_ACCESS where it cannot be read */
  read(deps: FactDeps): Promise<T>;
}

/** The facts of one run, each read at most once, whoever asks. */
export type Facts = <T>(fact: Fact<T>) => Promise<T>;

export function factsOf(deps: FactDeps): Facts {
  const known = new Map<Fact<unknown>, Promise<unknown>>();
  return <T>(fact: Fact<T>) => {
    // The map holds under each fact what that fact's own read gave.
    const found = (known.get(fact) as Promise<T> | undefined) ?? fact.read(deps);
    known.set(fact, found);
    return found;
  };
}
