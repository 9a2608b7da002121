import type { Config } from '../../config/schema.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files, Http, Network } from '../../core/ports.ts';
import type { Probe } from '../../core/probe.ts';
import type { ProxySettings } from '../../core/proxy-settings.ts';

/** `bare`: nothing of ours runs here yet. */
export type MachineRole = 'bare' | 'server' | 'worker';

/** Which machine is looked at. */
export interface Subject {
  readonly role: MachineRole;
  /** What it is, or is to become. */
  readonly k3sRole: 'server' | 'agent';
  /** The k3s that is here already is taken over. */
  readonly adoptsK3s?: boolean;
  /** k3s' program stands there already, without anything else of k3s: `prepare-image`. */
  readonly hasPreparedK3s?: boolean;
  /** The server of the cluster that it is to join, and the CA (PEM) of that. */
  readonly joins?: { readonly url: string; readonly ca: string };
  readonly config: Config;
}

/** What facts are read with. */
export interface FactDeps {
  readonly clock: Clock;
  readonly files: Files;
  readonly places: Places;
  readonly exec: Exec;
  readonly http: Http;
  /** The way to the control plane, as the daemon goes it. */
  readonly network: (options: { ca: string | undefined; proxy: ProxySettings }) => Promise<Network>;
  /** Looks at the network step by step. */
  readonly probe: () => Promise<Probe>;
  /** Certificates (PEM) of the authorities that are trusted when nothing else is said. */
  readonly authorities: () => Promise<readonly string[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Effective user id: who is not root sees less. */
  readonly uid: number;
  readonly hostname: string;
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** By which others reach this machine. */
  readonly addresses: () => readonly string[];
  /** The k3s that is here or would be installed: `v1.36.3+k3s1`; undefined where nobody says it. */
  readonly k3sVersion: () => Promise<string | undefined>;
  /** When the source of this program was committed; undefined where nobody knows it. */
  readonly builtAt: Date | undefined;
  /** How long another machine may stay silent, at each step of the way to it. */
  readonly stepLimitMs: number;
  /** Aborts when the time of the whole run is over. */
  readonly signal: AbortSignal;
  readonly subject: Subject;
}

/** Unless a person gives slow networks longer. With what a run adds it is below 3 s. */
export const STEP_LIMIT_MS = 2_500;

/** Something that is so on this machine. Reading it changes nothing. */
export interface Fact<T> {
  /** As data names it: `memory`. */
  readonly id: string;
  /**
   * @param facts others that it is made of
   * @throws AgentError where it cannot be read: FILE_ACCESS, TOOL_MISSING, TIMEOUT, …
   */
  read(deps: FactDeps, facts: Facts): Promise<T>;
}

/** The facts of one run, each read at most once, whoever asks. */
export type Facts = <T>(fact: Fact<T>) => Promise<T>;

export function factsOf(deps: FactDeps): Facts {
  const known = new Map<Fact<unknown>, Promise<unknown>>();
  const facts = <T>(fact: Fact<T>): Promise<T> => {
    // The map holds under each fact what that fact's own read gave.
    const found = (known.get(fact) as Promise<T> | undefined) ?? fact.read(deps, facts);
    known.set(fact, found);
    return found;
  };
  return facts;
}
