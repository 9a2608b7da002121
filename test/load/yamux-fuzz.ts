import { UINT32_MAX } from '../../src/yamux/frame.ts';
import { HELD_BYTES_MAX } from '../../src/yamux/session.ts';
import { frame, testSession } from '../yamux/session-pair.ts';
import { fastRandom } from './fast-random.ts';

/** The newest ones are meant most. */
const STREAMS_OF_A_SESSION = 8;
const BODY_BYTES_MAX = 4_096;
/** More than a window. */
const LONG_BODY_BYTES_MAX = 300_000;
/** A session that survives is replaced after so many frames, so that all states are met often. */
const FRAMES_OF_A_SESSION = 2_000;
/** An event loop turn, in which what is due leaves, after so many. */
const FRAMES_OF_A_TURN = 64;

export interface FuzzResult {
  readonly frames: number;
  /** Sessions that a frame ended, by reason. */
  readonly ends: Readonly<Record<string, number>>;
  /** The most that one session held for slow targets, bytes. */
  readonly heldBytesMax: number;
}

/**
 * Feeds sessions with frames that are valid, changed in some bits, cut anywhere or of nothing but
 * noise. Throws what a session throws; the same seed gives the same frames.
 */
export async function fuzzYamux(seed: number, frames: number): Promise<FuzzResult> {
  const random = fastRandom(seed);
  const draw: Draw = (below) => Math.floor(random.fraction() * below);
  const ends: Record<string, number> = {};
  let heldBytesMax = 0;
  let fed = 0;
  while (fed < frames) {
    const peer = testSession('client', { holds: draw(2) === 0, refuses: draw(8) === 0 });
    for (let count = 0; count < FRAMES_OF_A_SESSION && fed < frames; count += 1) {
      for (const message of cut(draw, mutatedFrame(draw, peer.accepted.length))) {
        peer.session.receive(message);
      }
      fed += 1;
      act(draw, peer.accepted.at(-1 - draw(STREAMS_OF_A_SESSION))?.stream);
      heldBytesMax = Math.max(heldBytesMax, peer.session.heldBytes);
      if (fed % FRAMES_OF_A_TURN === 0) {
        await new Promise((resolve) => setImmediate(resolve));
        peer.sent.length = 0;
      }
      const reason = peer.ends[0];
      if (reason !== undefined) {
        const kind = reason.replaceAll(/\d+/g, 'N');
        ends[kind] = (ends[kind] ?? 0) + 1;
        break;
      }
    }
    peer.session.close();
    if (peer.session.streamCount !== 0) {
      throw new Error('Streams are left of a session that is over');
    }
  }
  if (heldBytesMax > HELD_BYTES_MAX + LONG_BODY_BYTES_MAX) {
    throw new Error(`A session held ${heldBytesMax} bytes`);
  }
  return { frames: fed, ends, heldBytesMax };
}

type Draw = (below: number) => number;

/** @param opened how many streams there were so far */
function mutatedFrame(draw: Draw, opened: number): Buffer {
  const bytes = plausibleFrame(draw, opened);
  switch (draw(100)) {
    case 0: {
      const at = draw(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8));
      return bytes;
    }
    case 1:
      return bytes.subarray(0, draw(bytes.length + 1));
    case 2:
      return draw(20) === 0 ? Buffer.from({ length: 40, 0: draw(2), 5: draw(256) }) : bytes;
    default:
      return bytes;
  }
}

function plausibleFrame(draw: Draw, opened: number): Buffer {
  const id = 2 * Math.max(1, opened - draw(STREAMS_OF_A_SESSION));
  switch (draw(8)) {
    case 0:
      return frame('window', ['syn'], draw(50) === 0 ? id : 2 * (opened + 1), draw(2) * draw(1e6));
    case 1:
      return frame('window', draw(4) === 0 ? ['fin'] : [], id, credit(draw));
    case 2:
      return frame('window', ['rst'], id, 0);
    case 3:
      return frame('ping', [draw(2) === 0 ? 'syn' : 'ack'], 0, draw(100));
    case 4:
      return frame('go away', [], 0, draw(30) === 0 ? draw(4) : 0);
    default: {
      const length = draw(draw(100) === 0 ? LONG_BODY_BYTES_MAX : BODY_BYTES_MAX);
      return frame('data', draw(20) === 0 ? ['fin'] : [], id, length, Buffer.alloc(length));
    }
  }
}

function credit(draw: Draw): number {
  return draw(10) === 0 ? UINT32_MAX : draw(300_000);
}

/** As messages: whole, header and body apart, or anywhere. */
function cut(draw: Draw, bytes: Buffer): readonly Buffer[] {
  const at = [bytes.length, 12, draw(bytes.length + 1)][draw(3)] ?? 0;
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

/** What our own side does meanwhile. */
function act(
  draw: Draw,
  stream: ReturnType<typeof testSession>['accepted'][number]['stream'] | undefined,
): void {
  switch (draw(6)) {
    case 0:
      stream?.write(Buffer.alloc(draw(20_000)));
      break;
    case 1:
      stream?.consumed(draw(5_000));
      break;
    case 2:
      if (draw(10) === 0) {
        stream?.end();
      }
      break;
    case 3:
      if (draw(10) === 0) {
        stream?.reset();
      }
      break;
  }
}
