import { readdir } from 'node:fs/promises';

/** The kernel's unit of these times, as it tells them (proc(5): USER_HZ). */
const TICK_MS = 10;
/** Of the fields behind the name, which may have spaces itself: proc(5), 14 and 15 of all. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** What all threads of a process have used of the processors since its start, ms. */
export async function processorMs(pid: number): Promise<number> {
  const stat = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])) * TICK_MS;
}

/**
 * The same of the threads that are there now, to the nanosecond: the first number of each schedstat (kernel.org,
 * "Scheduler Statistics").
 */
export async function threadsMs(pid: number): Promise<number> {
  let ns = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    ns += Number((await Bun.file(`/proc/${pid}/task/${thread}/schedstat`).text()).split(' ')[0]);
  }
  return ns / 1e6;
}
