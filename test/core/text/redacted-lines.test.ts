import { expect, test } from 'bun:test';
import { LINE_LENGTH_MAX, redactedLines } from '../../../src/core/text/redacted-lines.ts';

const SECRET = `ghp_${'a1B2'.repeat(9)}`;

/** What comes of these pieces, piece by piece. */
async function shown(...pieces: readonly string[]): Promise<readonly string[]> {
  const source = async function* () {
    for (const piece of pieces) {
      yield Buffer.from(piece);
    }
  };
  const out: string[] = [];
  for await (const bytes of redactedLines(source())) {
    out.push(new TextDecoder().decode(bytes));
  }
  return out;
}

test('lines pass when they have ended, and the rest at the end', async () => {
  expect(await shown('a\n\nb', 'c\nd')).toEqual(['a\n\n', 'bc\n', 'd']);
  expect(await shown('a\n')).toEqual(['a\n']);
  expect(await shown()).toEqual([]);
});

test('a secret is hidden wherever it is cut', async () => {
  const text = `x ${SECRET} y\n`;
  for (let at = 1; at < text.length; at += 1) {
    const pieces = await shown(text.slice(0, at), text.slice(at));
    expect(pieces.join('')).toBe('x [redacted] y\n');
  }
});

test('a private key is hidden over all its lines', async () => {
  const [begin, end] = ['-----BEGIN PRIVATE KEY-----', '-----END PRIVATE KEY-----'];
  const pieces = await shown(`a\n${begin}\nMIIE`, `vQ\nIBADAN\n${end}\nb\n`);
  expect(pieces.join('')).not.toMatch(/MIIE|vQ|IBADAN/);
  expect(pieces.join('')).toStartWith('a\n');
  expect(pieces.join('')).toEndWith('b\n');
});

test('a line without an end is cut, and takes no memory', async () => {
  const piece = 'x'.repeat(10_000);
  const pieces = await shown(...new Array<string>(100).fill(piece), '\nnext\n');
  const [long = '', next] = pieces.join('').split('\n');
  expect(long).toBe(`${'x'.repeat(LINE_LENGTH_MAX)} [… rest of the line left out …]`);
  expect(next).toBe('next');
});
