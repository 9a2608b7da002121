import type { Envelope } from '../../../src/protocol/session/messages.ts';

/** The live connection of one agent, as the rest of the control plane uses it. */
export interface AgentLink {
  readonly agentId: string;
  readonly kind: 'controller' | 'gateway';
  /** False when the connection is gone, or takes no more. */
  send(type: string, payload: Readonly<Record<string, unknown>>, requestId?: string): boolean;
  sendBinary(data: Uint8Array): boolean;
  close(code: number, reason: string): void;
}

/** What runs over connections beside the session's own messages: proxy and tunnel. */
export interface DataPlanePeer {
  /** Message types of the agent that it takes. */
  readonly types: readonly string[];
  attach(link: AgentLink): {
    message(envelope: Envelope): void;
    binary(data: Uint8Array): void;
    /** The connection is gone. */
    close(): void;
  };
}

/** Which agents have a connection now; one each, the newest. */
export class AgentLinks {
  readonly #links = new Map<string, AgentLink & { readonly pump: () => void }>();
  /** Those that closed their connection themselves at its end, and have not come back. */
  readonly #stopped = new Set<string>();

  of(agentId: string): AgentLink | undefined {
    return this.#links.get(agentId);
  }

  get size(): number {
    return this.#links.size;
  }

  /** There is something new to send to this agent. */
  pump(agentId: string): void {
    this.#links.get(agentId)?.pump();
  }

  /** @returns the connection that it takes the place of */
  add(link: AgentLink & { readonly pump: () => void }): AgentLink | undefined {
    const before = this.#links.get(link.agentId);
    this.#links.set(link.agentId, link);
    this.#stopped.delete(link.agentId);
    return before;
  }

  /** @param gently the agent closed it, as at its stop */
  remove(link: AgentLink, gently: boolean): void {
    if (this.#links.get(link.agentId) === link) {
      this.#links.delete(link.agentId);
      if (gently) {
        this.#stopped.add(link.agentId);
      }
    }
  }

  wasStopped(agentId: string): boolean {
    return this.#stopped.has(agentId);
  }
}
