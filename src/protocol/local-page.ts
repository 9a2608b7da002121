import * as z from 'zod';

/** One page of many rows. */
export function pageOf<Row extends z.ZodType>(row: Row) {
  return z.object({
    /** Of all rows that fit the question. */
    total: z.int(),
    offset: z.int(),
    items: z.array(row),
  });
}
