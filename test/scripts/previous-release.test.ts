/** The release before this one comes from the history of the clone, or its lack is said. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { runCommand } from '../vm/host-command.ts';
import { PREVIOUS_RELEASE_COMMIT, sourcesOf } from '../vm/previous-release.ts';

const AUTHOR = ['-c', 'user.name=t', '-c', 'user.email=t@test'];

/** A repository of two commits. */
async function repository(path: string) {
  const git = async (...args: readonly string[]) =>
    (await runCommand(['git', ...AUTHOR, '-C', path, ...args])).stdout.trim();
  await runCommand(['git', 'init', '--quiet', path]);
  const commits: string[] = [];
  for (const text of ['one', 'two']) {
    await Bun.write(join(path, 'file'), text);
    await git('add', '.');
    await git('commit', '--quiet', '-m', text);
    commits.push(await git('rev-parse', 'HEAD'));
  }
  return { first: commits[0] ?? '', last: commits[1] ?? '' };
}

test('an earlier commit is written out, whatever the working tree holds', async () => {
  await using directory = await tempDirectory();
  const origin = join(directory.path, 'origin');
  const { first } = await repository(origin);
  const into = join(directory.path, 'into');
  await sourcesOf(origin, first, into);
  expect(await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: into }))).toEqual(['file']);
  expect(await Bun.file(join(into, 'file')).text()).toBe('one');
});

test('a shallow clone that lacks it says so, and how to get it', async () => {
  await using directory = await tempDirectory();
  const origin = join(directory.path, 'origin');
  const { first, last } = await repository(origin);
  const shallow = join(directory.path, 'shallow');
  await runCommand(['git', 'clone', '--quiet', '--depth=1', `file://${origin}`, shallow]);
  await sourcesOf(shallow, last, join(directory.path, 'there'));
  await expect(sourcesOf(shallow, first, join(directory.path, 'missing'))).rejects.toThrow(
    `commit ${first} is not in ${shallow}. A shallow clone lacks it: git fetch --unshallow`,
  );
});

test('sources that are no clone say so, too', async () => {
  await using directory = await tempDirectory();
  const into = join(directory.path, 'into');
  await expect(sourcesOf(directory.path, PREVIOUS_RELEASE_COMMIT, into)).rejects.toThrow(
    /is not in .*git says: fatal: not a git repository/s,
  );
});
