import type { Clock, Log } from '../core/ports.ts';
import { decodeTunnelHeader, type TunnelHeader } from '../protocol/session/tunnel-header.ts';
import type { StreamHandler, YamuxStream } from '../yamux/stream.ts';
import type { TunnelCounters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { OpenStream, OpenStreams } from './open-streams.ts';
import { invalidName, type TunnelTargets } from './targets.ts';
import { type TargetDeps, TcpTarget } from './tcp-target.ts';
import { UdpTarget } from './udp-target.ts';

/** Streams of one tunnel at once, including those whose target is still reading the rest. */
const STREAMS_MAX = 1_024;

/** How long a new stream may take to say where it goes. */
const HEADER_TIMEOUT_MS = 10_000;

/** How long finding the address of a target may take. */
const RESOLVE_TIMEOUT_MS = 10_000;

export interface TunnelStreamsDeps {
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
  readonly targets: TunnelTargets;
  readonly counters: TunnelCounters;
  readonly open: OpenStreams;
  readonly deadlines: Deadlines;
  readonly atTurnEnd: (task: () => void) => void;
}

export interface TunnelStreamsOptions {
  readonly dialTimeoutMs: number;
  readonly udpFraming: boolean;
}

/** Takes the peer's streams, and connects each with the target that its header names. */
export class TunnelStreams {
  readonly #deps: TunnelStreamsDeps;
  readonly #options: TunnelStreamsOptions;
  #active = 0;

  constructor(deps: TunnelStreamsDeps, options: TunnelStreamsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get active(): number {
    return this.#active;
  }

  /** Undefined when there are too many. */
  accept(stream: YamuxStream): StreamHandler | undefined {
    const { counters } = this.#deps;
    if (this.#active >= STREAMS_MAX) {
      counters.refused += 1;
      return undefined;
    }
    counters.accepted += 1;
    counters.active += 1;
    this.#active += 1;
    return this.#readHeader(stream, counters.accepted);
  }

  #released(): void {
    this.#active -= 1;
    this.#deps.counters.active -= 1;
  }

  #readHeader(stream: YamuxStream, number: number): StreamHandler {
    const { deadlines, counters } = this.#deps;
    let head: Uint8Array = new Uint8Array(0);
    const refuse = (reason: string) => {
      counters.refused += 1;
      this.#deps.log.debug('A stream of the tunnel is refused', { reason });
      stream.end();
      stream.reset();
    };
    const handler: StreamHandler = {
      data: (bytes) => {
        const all = head.length === 0 ? bytes : Buffer.concat([head, bytes]);
        const result = decodeTunnelHeader(all);
        switch (result.kind) {
          case 'incomplete':
            head = new Uint8Array(all);
            break;
          case 'invalid':
            refuse(result.reason);
            break;
          case 'header':
            deadlines.clear(handler);
            stream.consumed(result.size);
            this.#connect(stream, result.header, number, all.subarray(result.size));
            break;
        }
      },
      ended: () => refuse('it ended before its header'),
      writable: () => undefined,
      closed: () => {
        deadlines.clear(handler);
        this.#released();
      },
    };
    deadlines.set(handler, HEADER_TIMEOUT_MS, () => refuse('its header did not come in time'));
    return handler;
  }

  #connect(stream: YamuxStream, header: TunnelHeader, number: number, rest: Uint8Array): void {
    const since = this.#deps.clock.now();
    const own: OpenStream = { ...header, number, since, bytesIn: 0, bytesOut: 0 };
    let isOver = false;
    const deps: TargetDeps = {
      counters: this.#deps.counters,
      own,
      deadlines: this.#deps.deadlines,
      atTurnEnd: this.#deps.atTurnEnd,
      failed: (reason) =>
        this.#deps.log.debug('A stream of the tunnel failed', {
          reason,
          service: `${header.namespace}/${header.service}`,
          port: header.port,
        }),
      released: () => {
        isOver = true;
        this.#deps.open.delete(own);
        this.#released();
      },
    };
    const target =
      header.protocol === 'tcp'
        ? new TcpTarget(deps, stream)
        : new UdpTarget(deps, stream, this.#options.udpFraming);
    stream.handler = target;
    if (rest.length > 0) {
      target.data(rest);
    }
    const refuse = (reason: string) => {
      this.#deps.counters.refused += 1;
      deps.failed(reason);
      target.refuse();
    };
    const wrongName = invalidName(header);
    if (wrongName !== undefined) {
      refuse(wrongName);
      return;
    }
    const leads = () => void (isOver || this.#deps.open.add(own));
    void this.#dial(header, target, { leads, refuse });
  }

  async #dial(
    header: TunnelHeader,
    target: TcpTarget | UdpTarget,
    { leads, refuse }: { readonly leads: () => void; readonly refuse: (reason: string) => void },
  ): Promise<void> {
    let isLate = false;
    this.#deps.deadlines.set(target, RESOLVE_TIMEOUT_MS, () => {
      isLate = true;
      refuse('its target was not found in time');
    });
    const found = await this.#deps.targets.resolve(header);
    if (isLate) {
      return;
    }
    this.#deps.deadlines.clear(target);
    if (found.kind === 'refused') {
      refuse(found.reason);
    } else {
      leads();
      await target.dial(found.host, found.port, this.#options.dialTimeoutMs);
    }
  }
}
