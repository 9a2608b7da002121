/** Which processes end with k3s. On real machines: test/e2e/uninstall.test.ts. */
import { expect, test } from 'bun:test';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Exec } from '../../../src/core/ports.ts';
import { endContainers } from '../../../src/host/cleaning/processes.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';

const CONTAINERD = 'containerd\0-a\0/run/k3s/containerd/containerd.sock';
const SHIM = '/var/lib/rancher/k3s/data/x/bin/containerd-shim-runc-v2\0-id\0a';

test('k3s’ containers end with all below them; those of a k3s in a container of others go on', async () => {
  await using root = await memoryDirectory();
  const put = async (pid: string, parent: number, namespace: string, words: string) => {
    await mkdir(join(root.path, 'proc', pid, 'ns'), { recursive: true });
    await writeFile(join(root.path, 'proc', pid, 'stat'), `${pid} (a) b) S ${parent} 1`);
    await writeFile(join(root.path, 'proc', pid, 'cmdline'), words);
    await symlink(`pid:[${namespace}]`, join(root.path, 'proc', pid, 'ns/pid'));
  };
  await put('self', 1, '1', 'pipeops-agent');
  await put('10', 1, '1', CONTAINERD);
  await put('11', 1, '1', SHIM);
  await put('12', 11, '7', 'pause'); // A pod has a namespace of its own.
  await put('20', 1, '1', 'containerd-shim-runc-v2\0-address\0/run/containerd/containerd.sock');
  await put('21', 20, '8', 'k3s');
  await put('22', 21, '8', CONTAINERD);
  await put('23', 21, '8', SHIM);
  const killed: string[] = [];
  const exec: Exec = {
    run: async ([, , , , ...pids]) => {
      killed.push(...pids);
      await Promise.all(pids.map((pid) => rm(join(root.path, 'proc', pid), { recursive: true })));
      return { exitCode: 0, stdout: '', stderr: '' };
    },
  };
  await endContainers({ clock: systemClock, exec, files: systemFiles(root.path) });
  expect(killed.sort()).toEqual(['10', '11', '12']);
});
