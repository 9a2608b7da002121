import type { SessionSnapshot } from '../control-plane/session/state.ts';
import type { AgentError } from '../core/errors.ts';
import type { NodeState } from '../kubernetes/nodes/states.ts';

/** What one check of the machine has found (host/checks/). */
export interface MachineFinding {
  /** Id of the check. */
  readonly check: string;
  readonly code: string;
  readonly message: string;
  /** What to do, with the command where there is one. */
  readonly advice: string;
}

/** The nodes as the cluster sees them, with this machine among them. */
export interface NodeFacts {
  /** Undefined: this machine is no node of the cluster. */
  readonly own: NodeState | undefined;
  readonly others: readonly NodeState[];
}

/** The end of a certificate that k3s shows on this machine. */
export interface CertificateEnd {
  /** Who shows it: `kubelet`. */
  readonly of: string;
  readonly endsAt: Date;
}

/** What the parts of the daemon know at one moment: health is judged by this and by nothing else. */
export interface HealthFacts {
  readonly now: Date;
  /** Undefined on a worker, which has none. */
  readonly session: SessionSnapshot | undefined;
  /** What is wrong with what the servers share, as sentences. */
  readonly sharing: readonly string[];
  /** Ahead of the control plane's clock, ms; negative: behind. Undefined while nobody has told the time. */
  readonly clockSkewMs: number | undefined;
  /** Why everything is refused: the policy file cannot be used. */
  readonly policyProblem: AgentError | undefined;
  /** Why nothing can be written, and commands wait. */
  readonly journalTrouble: AgentError | undefined;
  /** Why commands wait for the cluster, which has several servers. */
  readonly memoryTrouble: AgentError | undefined;
  /** Why the API server does not answer; undefined while it does, and on a worker. */
  readonly kubernetesTrouble: AgentError | undefined;
  /** `unknown`: not listed yet. Undefined on a worker, which may not ask. */
  readonly nodes: NodeFacts | 'unknown' | undefined;
  /** Nodes that a join token was not made for. */
  readonly trespassers: readonly { readonly node: string; readonly message: string }[];
  /** Why the cluster is not as root's manifests on this server have it. */
  readonly desired: readonly {
    readonly about: string;
    readonly code: string;
    readonly message: string;
  }[];
  /** On a worker: what its kubelet does instead of being healthy, as the end of a sentence. */
  readonly kubeletTrouble: string | undefined;
  /** On a worker: the server that it joined, and why that does not answer. */
  readonly server: { readonly url: string; readonly trouble: string | undefined } | undefined;
  /** Keys of the configuration that are not known, each as a sentence with its place. */
  readonly unknownSettings: readonly string[];
  readonly findings: readonly MachineFinding[];
  readonly certificates: readonly CertificateEnd[];
  /** The unit of k3s on this machine. */
  readonly k3sUnit: string;
  /** The version that is running, and the one that the machine would start next. */
  readonly versions: { readonly running: string; readonly installed: string | undefined };
}
