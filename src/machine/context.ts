import type { Places } from '../core/places.ts';
import type {
  AskSocket,
  Clock,
  Databases,
  Exec,
  FileLock,
  Files,
  Http,
  Log,
  Network,
  ObjectStore,
  ObjectStoreSettings,
  Random,
  StartProgress,
} from '../core/ports.ts';
import type { Probe } from '../core/probe.ts';
import type { ProxySettings } from '../core/proxy-settings.ts';
import type { ReleaseKeys } from '../core/release-keys.ts';

/** What every use case gets: access to this machine. */
export interface MachineContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
  readonly http: Http;
  /** The way to the control plane, the same as the daemon's. */
  readonly network: (options: { ca: string | undefined; proxy: ProxySettings }) => Promise<Network>;
  /** Looks at the network step by step. */
  readonly probe: () => Promise<Probe>;
  /** Certificates (PEM) of the authorities that are trusted when nothing else is said. */
  readonly authorities: () => Promise<readonly string[]>;
  /** A question to a Unix socket. */
  readonly askSocket: AskSocket;
  readonly databases: Databases;
  readonly objectStore: (settings: ObjectStoreSettings) => Promise<ObjectStore>;
  readonly lock: FileLock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Effective user id. */
  readonly uid: number;
  readonly hostname: string;
  /** The addresses by which others reach this machine. */
  readonly addresses: () => readonly string[];
  /** `x64`, `arm64`, … */
  readonly architecture: string;
  /** By what releases are known; those of the running executable. */
  readonly releaseKeys: ReleaseKeys;
  /** Path of the running executable. */
  readonly execPath: string;
  /** Milliseconds of this process before the program began in it: install.sh's. 0 where that is not known. */
  readonly msBeforeProgram: () => Promise<number>;
  /** Aborted at the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  readonly progress: StartProgress;
}
