/** Where the programs of a Linux system are (hier(7)). Not all of it is in everybody's PATH. */
const SYSTEM_DIRECTORIES = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

/**
 * The given PATH, followed by the directories that it lacks: `su` and cron leave out those of
 * root's tools.
 */
export function toolPath(path: string | undefined): readonly string[] {
  const given = (path ?? '').split(':').filter((directory) => directory.startsWith('/'));
  return [...new Set([...given, ...SYSTEM_DIRECTORIES])];
}
