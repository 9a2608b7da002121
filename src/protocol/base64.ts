/**
 * The bytes of a text in base64, with or without `=` at its end, also over several lines (RFC 4648,
 * RFC 2045).
 * @returns undefined when the text is not base64: the runtime would skip what it cannot read
 */
export function decodeBase64(text: string): Buffer | undefined {
  const packed = text.includes('\n') ? text.replaceAll('\r', '').replaceAll('\n', '') : text;
  let digits = packed.length;
  while (digits > 0 && packed.length - digits < PADDING_MAX && packed[digits - 1] === '=') {
    digits -= 1;
  }
  const bytes = Buffer.from(packed, 'base64');
  const isWhole = digits % 4 !== 1 && bytes.length === Math.floor((digits * 3) / 4);
  return isWhole ? bytes : undefined;
}

/** Characters that fill up the last group of four. */
const PADDING_MAX = 2;
