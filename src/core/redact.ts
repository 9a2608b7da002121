/** What stands in a secret's place. */
export const REDACTED = '[redacted]';

/** Shorter values are not searched for: they would hide ordinary words. */
const SECRET_LENGTH_MIN = 8;

/** Shapes of secrets that may appear although nobody told us their value. */
const SECRET_SHAPES: readonly RegExp[] = [
  /\bK10[0-9a-f]{64}::[^\s"']+/g, // k3s tokens
  /\bpj1\.[A-Za-z0-9_-]{40,}\.[0-9a-f]{8}\b/g, // our join tokens
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g, // JWTs
  /(?<=\bBearer\s+)[A-Za-z0-9._~+/=-]{8,}/g,
];

/** Replaces the given secrets, and whatever looks like a token, in a text. */
export function redact(text: string, secrets: readonly string[] = []): string {
  let result = text;
  // The longest first: a secret inside another one would leave the rest of that to be seen.
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) {
    if (secret.length >= SECRET_LENGTH_MIN) {
      result = result.replaceAll(secret, REDACTED);
    }
  }
  for (const shape of SECRET_SHAPES) {
    result = result.replace(shape, REDACTED);
  }
  return result;
}
