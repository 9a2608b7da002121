/** Values that peers in other languages write in another way, and mean the same. */
import * as z from 'zod';

/**
 * An id of at most this many characters. A number, as a database gives it, is as good as a text.
 */
export function idOf(lengthMax: number) {
  return z.union([z.string(), z.int()]).transform(String).pipe(z.string().min(1).max(lengthMax));
}

/** Seconds, also as a text such as `120.5`. */
export const Seconds = z.union([
  z.number(),
  z
    .string()
    .regex(/^\d{1,10}(?:\.\d{1,9})?$/)
    .transform(Number),
]);
