import { describe, expect, test } from 'bun:test';
import { parseControlPlaneToken } from '../../../src/protocol/secrets/control-plane-token.ts';
import { failureOf } from '../../support/failure-of.ts';

const SECRET = 'pat_2f0c1d7e9b8a4c6d5e3f';

describe('parseControlPlaneToken()', () => {
  test.each([
    [SECRET, SECRET],
    [`  ${SECRET}\r\n`, SECRET],
    [`\ufeff${SECRET}\n`, SECRET],
    ['ABCDEFGH==', 'ABCDEFGH=='],
    ['1|abc:def~/+{}', '1|abc:def~/+{}'],
    [
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl',
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl',
    ],
    ['', undefined],
    [' \n', undefined],
  ])('reads %j', (text, token) => {
    expect(parseControlPlaneToken(text)).toBe(token);
  });

  test.each([
    [`${SECRET} and more`, 'there are 3 words; a token is one'],
    [`${SECRET}\n${SECRET}`, 'there are 2 lines; a token is one word'],
    [`${SECRET.slice(0, 9)}\r\n${SECRET.slice(9)}`, 'there are 2 lines; a token is one word'],
    [`Bearer ${SECRET}`, 'it begins with "Bearer": leave that word out'],
    [`PIPEOPS_TOKEN=${SECRET}`, 'it begins with the name of a variable: leave that and "=" out'],
    [`"${SECRET}"`, 'it stands in quotation marks: leave them out'],
    [`“${SECRET}”`, 'it stands in quotation marks: leave them out'],
    [`pat_2f\u20130c1d7e9b`, 'it holds "–" (U+2013), which no token has'],
    [`pat_é`, 'it holds "é" (U+00E9), which no token has'],
    [`pat_\u00a02f0c`, 'there are 2 words; a token is one'],
    [`pat_\u200b2f0c`, 'it holds the control character U+200B, which no token has'],
    [`pat_\u00002f0c`, 'it holds the control character U+0000, which no token has'],
    [`pat_\u001b[31m`, 'it holds the control character U+001B, which no token has'],
    [`pat_\u007f`, 'it holds the control character U+007F, which no token has'],
    ['x'.repeat(16 * 1024 + 1), 'it is longer than 16384 bytes'],
  ])('says what is wrong with %j', async (text, why) => {
    const failure = await failureOf(() => parseControlPlaneToken(text));
    expect({ code: failure.code, message: failure.message }).toEqual({
      code: 'TOKEN_INVALID',
      message: `Cannot use the control-plane token: ${why}`,
    });
    expect(Bun.inspect(failure)).not.toContain(SECRET);
  });

  test('refuses a secret of another kind, and names the command that takes it', async () => {
    const failure = await failureOf(() => parseControlPlaneToken(`pj1.${'a'.repeat(50)}.00000000`));
    expect({ code: failure.code, message: failure.message, hint: failure.hint }).toEqual({
      code: 'TOKEN_INVALID',
      message: 'This is a join token, not a token of the control plane',
      hint:
        'To make this machine a worker: sudo pipeops-agent join --token-file FILE. ' +
        "To make it a server, give the control plane's token: " +
        'sudo pipeops-agent install --token-file FILE',
    });
  });
});
