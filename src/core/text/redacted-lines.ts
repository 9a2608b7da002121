import { redact } from './redact.ts';

/** Of a longer line only so many characters are shown: what comes in has any length. */
export const LINE_LENGTH_MAX = 64 * 1024;
const LEFT_OUT = ' [… rest of the line left out …]';

/** Of PEM (RFC 7468): a private key has several lines. */
const KEY_BEGINS = /-----BEGIN [^-\n]{0,64}PRIVATE KEY[^-\n]{0,64}-----/;
const KEY_ENDS = /-----END [^-\n]{0,64}-----/;

/** Lines without what looks like a secret, as they come: nothing but the line that has not ended is kept. */
export async function* redactedLines(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder();
  const lines = lineRedactor();
  for await (const bytes of source) {
    const text = lines.take(decoder.decode(bytes, { stream: true }));
    if (text !== '') {
      yield Buffer.from(text);
    }
  }
  const rest = lines.take('\n').slice(0, -1);
  if (rest !== '') {
    yield Buffer.from(rest);
  }
}

function lineRedactor() {
  let held = '';
  let isCut = false;
  let isInKey = false;
  /** One line with its end. */
  const shown = (line: string): string => {
    if (isInKey) {
      isInKey = !KEY_ENDS.test(line);
      return '';
    }
    const begins = KEY_BEGINS.exec(line);
    isInKey = begins !== null && !KEY_ENDS.test(line.slice(begins.index));
    return redact(line);
  };
  return {
    take: (text: string): string => {
      let out = '';
      let from = 0;
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
        const whole = held + text.slice(from, end);
        const isLong = isCut || whole.length > LINE_LENGTH_MAX;
        out += shown(`${whole.slice(0, LINE_LENGTH_MAX)}${isLong ? LEFT_OUT : ''}\n`);
        held = '';
        isCut = false;
        from = end + 1;
      }
      // One more than is shown tells that there was more.
      const room = Math.max(0, LINE_LENGTH_MAX + 1 - held.length);
      isCut ||= text.length - from > room;
      held += text.slice(from, from + room);
      return out;
    },
  };
}
