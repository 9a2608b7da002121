import type { Service } from '../core/service.ts';

/** A door on this machine. */
export interface Listener extends Service {
  /** The port it listens on, once started. */
  port(): number;
}
