/** One request on a connected socket, and the head of its answer. */
import type { Socket } from 'node:net';
import type { HttpAnswer, Way } from '../../core/probe.ts';
import {
  ANSWER_HEAD_LIMIT_BYTES,
  encodeRequestHead,
  type HeaderList,
  isNamed,
  parseResponseHead,
  type ResponseHead,
} from '../../http1/head.ts';
import { HeadBuffer } from '../../http1/head-buffer.ts';
import { headRoom } from '../../http1/head-room.ts';
import { isPage, senderOf } from '../../protocol/intermediary.ts';
import { isUpgradeAnswer, upgradeHeaders, upgradeKey } from '../../websocket/upgrade.ts';
import { systemRandom } from '../random.ts';

/**
 * Of a large request: more than two packets of Ethernet (1 500 bytes), and less than the 8 KiB of a
 * header that common servers take.
 */
const PADDING_BYTES = 4_000;

/** @throws Error when there is no answer, or none in HTTP */
export async function askServer(socket: Socket, { url, ask }: Way): Promise<HttpAnswer> {
  const key = upgradeKey((length) => systemRandom.bytes(length));
  const headers: HeaderList = [
    ['Host', url.host],
    ['User-Agent', 'pipeops-agent'],
    ['Accept', 'application/json'],
    ...(ask === 'websocket' ? upgradeHeaders(key) : []),
    ...(ask === 'large' ? [['X-Padding', 'x'.repeat(PADDING_BYTES)] as const] : []),
  ];
  const sentAtMs = Date.now();
  const head = headOf(socket);
  socket.write(encodeRequestHead('GET', `${url.pathname}${url.search}`, headers));
  const answer = await head;
  const receivedAtMs = Date.now();
  if (answer.status === 101 && (ask !== 'websocket' || !isUpgradeAnswer(answer, key))) {
    throw new Error('its answer to the upgrade is not one to this request');
  }
  return { ...readAnswer(answer), sentAtMs, receivedAtMs };
}

function headOf(socket: Socket): Promise<ResponseHead> {
  const buffer = new HeadBuffer(headRoom(), ANSWER_HEAD_LIMIT_BYTES);
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      const taken = buffer.take(chunk);
      if (taken === 'not whole') {
        return;
      }
      try {
        resolve(parseResponseHead(typeof taken === 'string' ? '' : taken.head));
      } catch {
        reject(new Error('its answer is not HTTP'));
      }
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it closed the connection without an answer')));
  });
}

function readAnswer({ status, headers }: ResponseHead) {
  const header = (name: string) => headers.find(([each]) => isNamed(each, name))?.[1];
  const date = Date.parse(header('date') ?? '');
  // A cache tells when the server has answered it, and how long ago that was (RFC 9111 section 5.1).
  const age = /^\d{1,9}$/.exec(header('age') ?? '')?.[0] ?? '0';
  return {
    status,
    location: header('location'),
    pageBy: isPage(header('content-type'), '') ? senderOf(header) : undefined,
    serverTimeMs: Number.isNaN(date) ? undefined : date + Number(age) * 1_000,
  };
}
