/** Deeper than any file that this is asked of. */
const DEPTH_MAX = 8;

/**
 * Where parsed YAML has a number. Others may read a text there: the password 0123456 is the number 123456
 * to us, and how it was written is lost. So a file of others that has one is not written anew.
 * @returns `configs.HOST.auth.password`; undefined where there is none
 */
export function placeOfNumber(value: unknown, depth = DEPTH_MAX): string | undefined {
  if (typeof value !== 'object' || value === null || depth === 0) {
    return undefined;
  }
  for (const [key, inner] of Object.entries(value)) {
    const below = typeof inner === 'number' ? '' : placeOfNumber(inner, depth - 1);
    if (below !== undefined) {
      return below === '' ? key : `${key}.${below}`;
    }
  }
  return undefined;
}
