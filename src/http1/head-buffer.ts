/** Finds the end of a head that comes in pieces of any size. */

import { HEAD_END, HEAD_LIMIT_BYTES } from './head.ts';
import { type HeadRoom, OWN_HEAD_BYTES } from './head-room.ts';

/** Bytes at the end that may already be part of the end mark. */
const END_CUT_BYTES = HEAD_END.length - 1;
/** Room for what is kept at first, bytes. */
const ROOM_BYTES_MIN = 1_024;

export interface WholeHead {
  /** What is before the empty line, as Latin-1. */
  readonly head: string;
  /** What came after it; undefined when nothing did. */
  readonly behind: Buffer | undefined;
}

/** Why no more of a head is taken: it is longer than the limit, or others have taken the shared room. */
export type HeadTrouble = 'too long' | 'no room';

export class HeadBuffer {
  readonly #shared: HeadRoom;
  readonly #limitBytes: number;
  /** What has come, with room behind it: a piece costs its own length, not that of all before it. */
  #room: Buffer | undefined;
  #length = 0;
  /** Bytes taken from the shared room. */
  #sharedBytes = 0;

  constructor(shared: HeadRoom, limitBytes = HEAD_LIMIT_BYTES) {
    this.#shared = shared;
    this.#limitBytes = limitBytes;
  }

  /** Nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** A whole head keeps its share of the room until `release`: it lives on in what is made of it. */
  take(bytes: Buffer): WholeHead | 'not whole' | HeadTrouble {
    const before = this.#length;
    const all = before === 0 ? bytes : this.#keep(bytes);
    if (all === undefined) {
      return this.#fail('no room');
    }
    const end = all.indexOf(HEAD_END, Math.max(before - END_CUT_BYTES, 0));
    // What may be the beginning of the end mark does not count.
    if ((end === -1 ? all.length - END_CUT_BYTES : end) > this.#limitBytes) {
      return this.#fail('too long');
    }
    if (end === -1) {
      return before === 0 && this.#keep(bytes) === undefined ? this.#fail('no room') : 'not whole';
    }
    this.#room = undefined;
    this.#length = 0;
    if (!this.#hold(end)) {
      return this.#fail('no room');
    }
    const behind = end + HEAD_END.length;
    return {
      head: all.toString('latin1', 0, end),
      behind: behind === all.length ? undefined : all.subarray(behind),
    };
  }

  /** Nothing of the last head is needed any more, or no more of one will come. */
  release(): void {
    this.#room = undefined;
    this.#length = 0;
    this.#hold(0);
  }

  #fail(trouble: HeadTrouble): HeadTrouble {
    this.release();
    return trouble;
  }

  /** @returns all that has come; undefined when there is no room for it */
  #keep(bytes: Buffer): Buffer | undefined {
    const length = this.#length + bytes.length;
    let room = this.#room;
    if (room === undefined || room.length < length) {
      const roomBytes = this.#roomFor(length);
      if (!this.#hold(roomBytes)) {
        return undefined;
      }
      const larger = Buffer.allocUnsafeSlow(roomBytes);
      room?.copy(larger, 0, 0, this.#length);
      room = larger;
    }
    bytes.copy(room, this.#length);
    this.#room = room;
    this.#length = length;
    return room.subarray(0, length);
  }

  /** Twice as much as is needed now, within the limits; all of the last piece must fit. */
  #roomFor(length: number): number {
    const most = this.#limitBytes + HEAD_END.length;
    return Math.max(length, Math.min(Math.max(2 * length, ROOM_BYTES_MIN), most));
  }

  /** Changes the share of the room to this many bytes. @returns false when it cannot */
  #hold(bytes: number): boolean {
    const more = Math.max(bytes - OWN_HEAD_BYTES, 0) - this.#sharedBytes;
    if (more > 0 && !this.#shared.take(more)) {
      return false;
    }
    if (more < 0) {
      this.#shared.give(-more);
    }
    this.#sharedBytes += more;
    return true;
  }
}
