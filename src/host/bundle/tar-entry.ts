/**
 * Entries of a tar archive in one single form (POSIX ustar): regular files with plain names. What reads
 * them takes a header only if it is, to the byte, the one that is written here for the same name and size:
 * links, paths, devices and extensions do not exist.
 */

export const BLOCK_BYTES = 512;
/** After the last entry; tar(1) fills up to a whole record. */
export const END_BLOCKS_MIN = 2;
export const END_BLOCKS_MAX = 20;

const NAME_BYTES = 100;
/** 11 octal digits. */
const SIZE_MAX = 8 ** 11 - 1;

export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
  readonly isProgram: boolean;
  /** Seconds since 1970. */
  readonly modifiedAt: number;
}

/** The header of an entry: one block. @throws RangeError for what no header can hold */
export function encodeHeader({ name, sizeBytes, isProgram, modifiedAt }: TarEntry): Uint8Array {
  if (Buffer.byteLength(name) > NAME_BYTES || sizeBytes > SIZE_MAX) {
    throw new RangeError(`${name} fits in no tar header`);
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0);
  block.write(octal(isProgram ? 0o755 : 0o644, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(modifiedAt, 11), 136);
  block.write('        ', 148); // The checksum counts itself as blanks.
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  block.write('root', 265);
  block.write('root', 297);
  block.write(octal(0, 7), 329);
  block.write(octal(0, 7), 337);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\u0000 `, 148);
  return block;
}

/** @returns undefined for what is no header, or one of another form */
export function decodeHeader(block: Uint8Array): TarEntry | undefined {
  const bytes = Buffer.from(block);
  const end = bytes.indexOf(0);
  if (bytes.length !== BLOCK_BYTES || end < 1 || end > NAME_BYTES) {
    return undefined;
  }
  const name = bytes.toString('latin1', 0, end);
  const sizeBytes = fromOctal(bytes.toString('latin1', 124, 135));
  const modifiedAt = fromOctal(bytes.toString('latin1', 136, 147));
  if (sizeBytes === undefined || modifiedAt === undefined || !/^[\x21-\x7e]+$/.test(name)) {
    return undefined;
  }
  const isProgram = bytes.toString('latin1', 100, 107) === octal(0o755, 7);
  const entry = { name, sizeBytes, isProgram, modifiedAt };
  return bytes.equals(encodeHeader(entry)) ? entry : undefined;
}

/** Zeros that fill an entry up to a whole block. */
export function paddingBytes(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function fromOctal(text: string): number | undefined {
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
