/**
 * The door through which a server offers its programs to machines that join: TLS, GET, and below one
 * secret path. Whoever does not know the path is told nothing.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Clock, Files } from '../../core/ports.ts';
import { requestFraming } from '../../http1/body-framing.ts';
import { asksForUpgrade } from '../../http1/connection-header.ts';
import type { RequestHead } from '../../http1/head.ts';
import { headRoom } from '../../http1/head-room.ts';
import type { Refusal } from '../../http1/server/connection.ts';
import { type ConnectionServer, connectionServer } from '../../http1/server/connections.ts';
import type { CertificateAndKey } from '../self-signed-certificate.ts';
import { answering, type Offered } from './answer.ts';

/** Connections at once. */
const CONNECTIONS_MAX = 64;
/** Answers under way at once: programs are large, and a line is shared. */
const ANSWERS_MAX = 16;
/** Memory that all connections share for heads beyond the usual, bytes. */
const HEADS_SHARED_BYTES = 256 * 1024;

export interface OfferOptions {
  readonly hostname: string;
  readonly port: number;
  readonly certificate: CertificateAndKey;
  /** The first part of every path: secret. */
  readonly key: string;
  /** By the path behind it, decoded: `/latest`. */
  readonly entries: ReadonlyMap<string, Offered>;
}

/** Listens at once. @throws Error where it cannot */
export function offerDoor(
  deps: { readonly clock: Clock; readonly files: Files },
  options: OfferOptions,
): ConnectionServer {
  const { hostname, port, certificate } = options;
  const tls = { cert: certificate.certificate, key: certificate.key };
  let underWay = 0;
  const door = {
    headRoom: headRoom(HEADS_SHARED_BYTES),
    admit: (head: RequestHead): Refusal | undefined => {
      if (entryOf(head, options) === undefined) {
        return { status: 404, body: '' };
      }
      // It would hold its place until the client has sent what it announces.
      if (requestFraming(head.headers) !== 'none' || asksForUpgrade(head.headers)) {
        return { status: 400, body: '' };
      }
      return underWay < ANSWERS_MAX ? undefined : { status: 503, body: '' };
    },
    malformed: (status: number): Refusal => ({ status, body: '' }),
    begin: (head: RequestHead, sink: Parameters<typeof answering>[2]) => {
      underWay += 1;
      const entry = entryOf(head, options);
      return answering(deps, entry, sink, () => {
        underWay -= 1;
      });
    },
  };
  const address = { hostname, port, exclusive: true, tls };
  return connectionServer(deps.clock, door, address, { connectionsMax: CONNECTIONS_MAX });
}

function entryOf({ method, target }: RequestHead, { key, entries }: OfferOptions) {
  const [path = ''] = target.split('?');
  const [, first = '', ...rest] = path.split('/');
  if ((method !== 'GET' && method !== 'HEAD') || !isSame(first, key)) {
    return undefined;
  }
  try {
    return entries.get(`/${rest.map(decodeURIComponent).join('/')}`);
  } catch {
    return undefined; // A broken escape.
  }
}

/** In the same time, however much of it is right. */
function isSame(given: string, key: string): boolean {
  const hash = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(key));
}
