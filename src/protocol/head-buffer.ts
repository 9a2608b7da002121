/** Finds the end of a head that comes in pieces of any size. */
import { HEAD_END, HEAD_LIMIT_BYTES } from './http-head.ts';

/** So much of the end may be there without being seen as such. */
const END_CUT_BYTES = HEAD_END.length - 1;
/** Room for what is kept, bytes: at first, and at most. */
const ROOM_BYTES_MIN = 1_024;
const ROOM_BYTES_MAX = HEAD_LIMIT_BYTES + HEAD_END.length;

export interface WholeHead {
  /** What is before the empty line, as Latin-1. */
  readonly head: string;
  /** undefined: nothing. */
  readonly behind: Buffer | undefined;
}

export class HeadBuffer {
  /** What has come, with room behind it: a piece costs its own length, not that of all before it. */
  #room: Buffer | undefined;
  #length = 0;

  /** Nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** 'too long': longer than HEAD_LIMIT_BYTES, and of no more use. */
  take(bytes: Buffer): WholeHead | 'not whole' | 'too long' {
    const before = this.#length;
    const all = before === 0 ? bytes : this.#keep(bytes);
    const end = all.indexOf(HEAD_END, Math.max(before - END_CUT_BYTES, 0));
    if (end === -1) {
      // What may be the beginning of the end does not count.
      if (all.length - END_CUT_BYTES > HEAD_LIMIT_BYTES) {
        return 'too long';
      }
      if (before === 0) {
        this.#keep(bytes);
      }
      return 'not whole';
    }
    this.#room = undefined;
    this.#length = 0;
    if (end > HEAD_LIMIT_BYTES) {
      return 'too long';
    }
    const behind = end + HEAD_END.length;
    return {
      head: all.toString('latin1', 0, end),
      behind: behind === all.length ? undefined : all.subarray(behind),
    };
  }

  /** @returns all that has come */
  #keep(bytes: Buffer): Buffer {
    const length = this.#length + bytes.length;
    let room = this.#room;
    if (room === undefined || room.length < length) {
      const larger = Buffer.allocUnsafeSlow(roomFor(length));
      room?.copy(larger, 0, 0, this.#length);
      room = larger;
    }
    bytes.copy(room, this.#length);
    this.#room = room;
    this.#length = length;
    return room.subarray(0, length);
  }
}

/** Twice as much as is needed now, within the limits; all of the last piece must fit. */
function roomFor(length: number): number {
  return Math.max(length, Math.min(Math.max(2 * length, ROOM_BYTES_MIN), ROOM_BYTES_MAX));
}
