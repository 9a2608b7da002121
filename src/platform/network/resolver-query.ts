/** Asks one resolver by itself, beside that of the system (RFC 1035 section 4). */
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import type { ResolverAnswer } from '../../core/probe.ts';
import { troubleOf } from '../../core/trouble.ts';
import { systemRandom } from '../random.ts';

const DNS_PORT = 53;
/** Standard query, recursion desired. */
const FLAGS = 0x0100;
const TYPE_A = 1;
const CLASS_IN = 1;
const LABEL_BYTES_MAX = 63;
const HEADER_BYTES = 12;
/** SERVFAIL and REFUSED. */
const REFUSALS = [2, 5];
/** A packet may get lost: it is asked once more. */
const TRIES = 2;

/** @param port for tests: a resolver has 53 */
export async function askResolver(
  server: string,
  name: string,
  limitMs: number,
  port = DNS_PORT,
): Promise<ResolverAnswer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await askOnce(server, name, limitMs / TRIES, port);
    if (answer.kind !== 'silent' || tries === TRIES) {
      return answer;
    }
  }
}

function askOnce(
  server: string,
  name: string,
  limitMs: number,
  port: number,
): Promise<ResolverAnswer> {
  const id = Buffer.from(systemRandom.bytes(2)).readUInt16BE();
  const socket = createSocket(isIP(server.replace(/%.*$/, '')) === 6 ? 'udp6' : 'udp4');
  const startedAt = performance.now();
  return new Promise<ResolverAnswer>((resolve) => {
    const timer = setTimeout(() => settle({ kind: 'silent' }), limitMs);
    const settle = (answer: ResolverAnswer) => {
      clearTimeout(timer);
      resolve(answer);
    };
    const fail = (thrown: unknown) => settle({ kind: 'unreachable', why: troubleOf(thrown) });
    socket.on('error', fail);
    socket.on('message', (message) => {
      if (message.length >= HEADER_BYTES && message.readUInt16BE(0) === id) {
        const ms = Math.round(performance.now() - startedAt);
        const code = message.readUInt8(3) & 0x0f;
        settle({ kind: REFUSALS.includes(code) ? 'refused' : 'answered', ms });
      }
    });
    // Connected: then the system tells when nobody listens there.
    socket.connect(port, server, () => {
      socket.send(question(id, name), (error) => {
        if (error !== null && error !== undefined) {
          fail(error);
        }
      });
    });
  }).finally(() => socket.close());
}

function question(id: number, name: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(FLAGS, 2);
  header.writeUInt16BE(1, 4); // One question.
  const labels = name.split('.').filter((label) => label !== '');
  const encoded = labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1').subarray(0, LABEL_BYTES_MAX);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([header, ...encoded, Buffer.of(0, 0, TYPE_A, 0, CLASS_IN)]);
}
