/** The agent's account in Kubernetes, as far as its rules name it. */
export interface AdmissionAccount {
  /** Of the policy and its binding. */
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Accounts whose tokens it may mint: its own and those made for it. */
  readonly tokensOf: readonly string[];
  /** The longest life of such a token. */
  readonly tokenLifeSeconds: number;
  /** Objects in its namespace that it may change: root makes them. */
  readonly ownObjects: readonly {
    readonly group: string;
    readonly resource: string;
    readonly name: string;
  }[];
}
