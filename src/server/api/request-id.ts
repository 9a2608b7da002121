import type { Clock } from '../../core/ports.ts';
import type { HeaderList } from '../../http1/head.ts';

/** What callers may call their requests; anything else gets an id of ours. */
const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** @param headers none where they could not be read */
export type RequestIds = (headers: HeaderList) => string;

/** The caller's own id, or one that tells requests of this start apart. */
export function requestIds(clock: Pick<Clock, 'now'>): RequestIds {
  const start = clock.now().getTime().toString(36);
  let count = 0;
  return (headers) => {
    const given = headers.find(([name]) => name.toLowerCase() === 'x-request-id')?.[1] ?? '';
    if (REQUEST_ID.test(given)) {
      return given;
    }
    count += 1;
    return `${start}-${count}`;
  };
}
