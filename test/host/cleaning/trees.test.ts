/** What stays of a directory that goes. On real machines: test/e2e/uninstall.test.ts. */
import { expect, test } from 'bun:test';
import { exists, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Exec } from '../../../src/core/ports.ts';
import { unmountBelow } from '../../../src/host/cleaning/mounts.ts';
import { removeBut } from '../../../src/host/cleaning/trees.ts';
import { realPath } from '../../../src/host/engine/real-path.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';

/** @param mounts what the kernel lists */
async function machineWith(
  root: string,
  paths: readonly string[],
  links: Readonly<Record<string, string>>,
  mounts: readonly string[] = [],
) {
  const lines = mounts.map((path) => `disk ${path} ext4 rw 0 0\n`).join('');
  for (const [path, text] of [
    ...paths.map((each) => [each, 'data']),
    ['/proc/self/mounts', lines],
  ]) {
    await mkdir(dirname(join(root, path ?? '')), { recursive: true });
    await writeFile(join(root, path ?? ''), text ?? '');
  }
  for (const [path, target] of Object.entries(links)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(target, join(root, path));
  }
  return systemFiles(root);
}

test('pods’ mounts are found and undone where a link above the directory leads elsewhere', async () => {
  await using root = await memoryDirectory();
  const mount = '/disk/lib/kubelet/pods/a/volumes/nfs';
  const files = await machineWith(root.path, [`${mount}/file`], { '/var': 'disk' }, [
    '/',
    mount,
    '/disk/lib/kubelet',
    '/run/netns/cni-1',
    '/home',
  ]);
  const unmounted: string[] = [];
  const exec: Exec = {
    run: async ([, , point = '']) => {
      unmounted.push(point);
      return { exitCode: 0, stdout: '', stderr: '' };
    },
  };
  await unmountBelow({ exec, files }, ['/var/lib/kubelet/', '/run/netns/cni-']);
  expect(unmounted).toEqual(['/run/netns/cni-1', mount]);
});

test('a mount point stays where a link above the directory leads elsewhere', async () => {
  await using root = await memoryDirectory();
  const files = await machineWith(
    root.path,
    ['/disk/rancher/k3s/server/db', '/disk/rancher/k3s/agent/etc/file'],
    { '/var/lib/rancher': '../../disk/rancher' },
    ['/disk/rancher/k3s/agent'],
  );
  await removeBut(files, '/var/lib/rancher/k3s');
  expect(await readdir(join(root.path, 'disk/rancher/k3s'))).toEqual(['agent']);
});

test('what is kept stays, however its path is written', async () => {
  await using root = await memoryDirectory();
  const directory = '/disk/rancher/k3s';
  const files = await machineWith(
    root.path,
    ['a/file', 'b/file', 'c/file', 'd/file'].map((each) => `${directory}/${each}`),
    { '/var/lib/rancher': '../../disk/rancher' },
  );
  await removeBut(files, '/var/lib/rancher/k3s', [
    '/var/lib/rancher/k3s//a',
    '/disk/rancher/k3s/b',
    '/var/lib/rancher/k3s/d/../c/',
  ]);
  expect((await readdir(join(root.path, directory))).sort()).toEqual(['a', 'b', 'c']);
});

test('a link to what is kept stays, and other links go without what they lead to', async () => {
  await using root = await memoryDirectory();
  const files = await machineWith(root.path, ['/mnt/volumes/a/file', '/mnt/other/file'], {
    '/k3s/storage': '/mnt/volumes',
    '/k3s/other': '/mnt/other',
  });
  await removeBut(files, '/k3s', ['/k3s/storage/a']);
  expect(await readdir(join(root.path, 'k3s'))).toEqual(['storage']);
  expect(await exists(join(root.path, 'mnt/other/file'))).toBe(true);
});

test('links in a circle are an error that names the path', async () => {
  await using root = await memoryDirectory();
  const files = await machineWith(root.path, [], { '/a': '/b', '/b': '/a' });
  const failure = await failureOf(() => realPath(files, '/a/x'));
  expect([failure.code, failure.message]).toEqual([
    'FILE_ACCESS',
    'Cannot follow /a/x: its links lead in a circle',
  ]);
});
