import { AgentError } from '../../core/errors.ts';
import { misplacedSecret } from './misplaced.ts';

/** Longest control-plane token, bytes. */
const CONTROL_PLANE_TOKEN_LIMIT_BYTES = 16 * 1024;

/**
 * Reads what somebody gave as the token of the control plane, so that nothing else is sent there,
 * and nothing that a header cannot carry (RFC 9110, section 5.5).
 * @returns the token; undefined when there is none
 * @throws AgentError TOKEN_INVALID, never with the token in its text
 */
export function parseControlPlaneToken(text: string): string | undefined {
  const token = text.trim();
  if (token === '') {
    return undefined;
  }
  const misplaced = misplacedSecret('control-plane-token', token);
  if (misplaced !== undefined) {
    throw misplaced;
  }
  const problem = problemOf(token);
  if (problem !== undefined) {
    throw new AgentError('TOKEN_INVALID', `Cannot use the control-plane token: ${problem}`, {
      hint: 'Write the token that the control plane gave you into the file, alone and on one line',
    });
  }
  return token;
}

function problemOf(token: string): string | undefined {
  if (token.length > CONTROL_PLANE_TOKEN_LIMIT_BYTES) {
    return `it is longer than ${CONTROL_PLANE_TOKEN_LIMIT_BYTES} bytes`;
  }
  const lines = token.split(/[\r\n]+/).length;
  if (lines > 1) {
    return `there are ${lines} lines; a token is one word`;
  }
  if (/^bearer\s/i.test(token)) {
    return 'it begins with "Bearer": leave that word out';
  }
  const words = token.split(/\s+/).length;
  if (words > 1) {
    return `there are ${words} words; a token is one`;
  }
  if (/^[A-Z_]{0,32}TOKEN=/.test(token)) {
    return 'it begins with the name of a variable: leave that and "=" out';
  }
  if (/^["'`“”‘’„«]|["'`“”‘’»]$/.test(token)) {
    return 'it stands in quotation marks: leave them out';
  }
  const odd = [...token].find((character) => character < '!' || character > '~');
  return odd === undefined ? undefined : `it holds ${nameOf(odd)}, which no token has`;
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const number = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || /\p{C}/u.test(character)
    ? `the control character ${number}`
    : `"${character}" (${number})`;
}
