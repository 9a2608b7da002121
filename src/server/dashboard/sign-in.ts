/**
 * Who may see the page: the browser in which somebody has opened a link that root made. A cookie alone would
 * not do: browsers send the cookies of 127.0.0.1 to every port of it, and so to programs of other users. So a
 * visit also needs a key, which the page keeps where only its own origin reaches it.
 */
import type { Clock, Random } from '../../core/ports.ts';

/** How long a link that nobody opens can be opened. */
const LINK_LIFETIME_MS = 5 * 60_000;
/** How long somebody stays signed in who does nothing; the page asks all the time while it is open. */
const VISIT_IDLE_MS = 8 * 3_600_000;
/** Links and visits at a time; the oldest goes when one more comes. */
const LINKS_MAX = 16;
const VISITS_MAX = 16;
/** Bytes of randomness in a code, in a cookie and in a key. */
const SECRET_BYTES = 32;

export interface SignIn {
  /** Code of a new link, for one use. */
  readonly newLink: () => { readonly code: string; readonly expiresAt: Date };
  /** Uses up a code. Undefined where there is none such, or no longer. */
  readonly open: (code: string) => Visit | undefined;
  /** Whether these two belong to a visit that goes on. */
  readonly accepts: (visit: Partial<Visit>) => boolean;
  readonly leave: (visit: Partial<Visit>) => void;
}

/** What a browser shows with each request. */
export interface Visit {
  readonly cookie: string;
  readonly key: string;
}

/** They live in memory: a restart of the agent ends all. */
export function signIn({
  clock,
  random,
}: {
  readonly clock: Clock;
  readonly random: Random;
}): SignIn {
  /** Until when, by the hash of what is secret: how long a look-up takes then tells nothing of it. */
  const links = new Map<string, number>();
  const visits = new Map<string, number>();
  const secret = () => Buffer.from(random.bytes(SECRET_BYTES)).toString('base64url');
  return {
    newLink: () => {
      const code = secret();
      remember(links, hashOf(code), clock.monotonic() + LINK_LIFETIME_MS, LINKS_MAX);
      return { code, expiresAt: new Date(clock.now().getTime() + LINK_LIFETIME_MS) };
    },
    open: (code) => {
      const hash = hashOf(code);
      const until = links.get(hash);
      links.delete(hash);
      if (until === undefined || until <= clock.monotonic()) {
        return undefined;
      }
      const visit = { cookie: secret(), key: secret() };
      remember(visits, hashOfVisit(visit), clock.monotonic() + VISIT_IDLE_MS, VISITS_MAX);
      return visit;
    },
    accepts: (visit) => {
      const hash = hashOfVisit(visit);
      const until = visits.get(hash);
      if (until === undefined || until <= clock.monotonic()) {
        visits.delete(hash);
        return false;
      }
      remember(visits, hash, clock.monotonic() + VISIT_IDLE_MS, VISITS_MAX);
      return true;
    },
    leave: (visit) => {
      visits.delete(hashOfVisit(visit));
    },
  };
}

/** The one that was used longest ago goes where there are too many. */
function remember(all: Map<string, number>, hash: string, until: number, max: number): void {
  all.delete(hash);
  all.set(hash, until);
  const [oldest] = all.keys();
  if (all.size > max && oldest !== undefined) {
    all.delete(oldest);
  }
}

function hashOf(text: string): string {
  return new Bun.CryptoHasher('sha256').update(text).digest('base64');
}

function hashOfVisit({ cookie = '', key = '' }: Partial<Visit>): string {
  return hashOf(`${cookie}\n${key}`);
}
