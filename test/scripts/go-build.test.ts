/** How far a build is, told from what `go` says; the program is played. */
import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { goBuild } from '../vm/go-build.ts';

const ENV = { PATH: '/usr/bin:/bin' };

test('it says what is downloaded, how much there is to do, and how much is done', async () => {
  await using directory = await tempDirectory();
  const { path } = directory;
  await Bun.write(join(path, 'a.go'), 'x'.repeat(15_000_000));
  await Bun.write(join(path, 'b.go'), 'x'.repeat(5_000_000));
  await Bun.write(join(path, 'go.mod'), 'module m\n\nrequire (\n\ta.example/b v1.2.3\n)\n');
  const go = `#!/bin/sh
case "$1" in
  list)
    echo 'go: downloading a.example/b v1.2.3' >&2
    printf '\\nbig\\t${path}\\ta.go\\n\\nsmall\\t${path}\\ta.go\\tb.go\\n\\n' ;;
  build) printf 'small\\nbig\\n' >&2 ;;
esac
`;
  await writeFile(join(path, 'go'), go, { mode: 0o755 });
  const news: string[] = [];
  const build = { program: join(path, 'go'), cwd: path, env: ENV, args: ['-o', 'x'] };
  await goBuild(build, (each) => news.push(each));
  expect(news).toEqual([
    'looking for what there is to compile',
    'downloading module 1 of at most 1',
    '2 packages to compile',
    '0 %',
    '50 %',
  ]);
});

test('a build that fails says what go said', async () => {
  await using directory = await tempDirectory();
  const { path } = directory;
  await Bun.write(join(path, 'go.mod'), 'module m\n');
  const go = '#!/bin/sh\n[ "$1" = list ] || { echo "a.go:1: no such thing" >&2; exit 1; }\n';
  await writeFile(join(path, 'go'), go, { mode: 0o755 });
  const build = { program: join(path, 'go'), cwd: path, env: ENV, args: [] };
  const building = goBuild(build, () => undefined);
  await expect(building).rejects.toThrow('a.go:1: no such thing');
});
