import { readFile } from 'node:fs/promises';

/** Of the times in /proc/<pid>/stat, on every processor this is built for (proc_pid_stat(5), sysconf(3)). */
const TICKS_PER_SECOND = 100;
/** `starttime`, of the fields behind the name. */
const START_FIELD = 19;

/**
 * Milliseconds from the start of this process to that of the program in it. install.sh becomes the program, so of
 * that it is all that install.sh did. 0 where the system does not say.
 */
export async function msBeforeProgram(): Promise<number> {
  const runningMs = process.uptime() * 1_000;
  const texts = ['/proc/self/stat', '/proc/uptime'].map((path) => readFile(path, 'latin1'));
  const [stat = '', uptime = ''] = await Promise.all(texts).catch(() => []);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ageMs =
    (Number.parseFloat(uptime) - Number(fields[START_FIELD]) / TICKS_PER_SECOND) * 1_000;
  return Number.isFinite(ageMs) ? Math.max(0, ageMs - runningMs) : 0;
}
