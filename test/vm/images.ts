/**
 * Container images for machines without a registry: docker archives made around Debian's static
 * busybox (the format of `docker save`: manifest.json, a config and one layer).
 */

import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, contentHash } from './cache.ts';
import { runCommand } from './host-command.ts';

/** The image k3s uses for pod sandboxes. */
export const PAUSE_IMAGE = 'docker.io/rancher/mirrored-pause:3.6';

/**
 * A web application: `GET /` on port 8080 answers `hello from pod\n`, `GET /cgi-bin/env` its
 * environment. Version 2 says `hello from pod, version 2\n`, for updates and rollbacks.
 */
export const WEB_IMAGE = 'docker.io/pipeops/test-web:1';
export const WEB_IMAGE_2 = 'docker.io/pipeops/test-web:2';
export const WEB_PORT = 8080;

/** Debian's wget applet crashes (static glibc cannot resolve names), so it is not among them. */
const APPLETS = [
  ...['cat', 'date', 'dd', 'echo', 'env', 'false', 'head', 'hostname', 'httpd', 'id', 'kill'],
  ...['ls', 'mkdir', 'nc', 'ps', 'rm', 'seq', 'sh', 'sleep', 'stat', 'tail', 'tar', 'tee'],
  ...['timeout', 'top', 'touch', 'true', 'vi', 'wc', 'yes'],
];

const BUSYBOX = '/bin/busybox';

/**
 * Process 1 of a container ignores SIGTERM unless it asks for it, which makes a deletion take 30 s
 * and a poweroff wait: both images ask.
 */
function untilTerminated(command: string): readonly string[] {
  return ['sh', '-c', `${command} & trap "kill $!; exit 0" TERM; wait $!`];
}

const SERVE = untilTerminated(`httpd -f -p ${WEB_PORT} -h /www`);
const PAUSE = untilTerminated('sleep 2147483647');

interface Image {
  readonly file: string;
  readonly name: string;
  readonly command: readonly string[];
  readonly page: string;
}

const IMAGES: readonly Image[] = [
  { file: 'pause.tar', name: PAUSE_IMAGE, command: PAUSE, page: '' },
  { file: 'test-web-1.tar', name: WEB_IMAGE, command: SERVE, page: 'hello from pod\n' },
  {
    file: 'test-web-2.tar',
    name: WEB_IMAGE_2,
    command: SERVE,
    page: 'hello from pod, version 2\n',
  },
];

/** The directory with one tar per image, made when the cache does not have it. */
export async function testImages(): Promise<string> {
  const source = await Bun.file(import.meta.path).text();
  const { stdout } = await runCommand(['sha256sum', BUSYBOX]);
  return await buildOnce(`images-${contentHash([source, stdout])}`, async (directory) => {
    for (const image of IMAGES) {
      await makeImage(directory, image);
    }
  });
}

async function makeImage(directory: string, image: Image): Promise<void> {
  const work = join(directory, `${image.file}.work`);
  const root = join(work, 'root');
  await makeRoot(root, image.page);
  await runCommand([...reproducibleTar(root), '--file', join(work, 'layer.tar'), '.']);
  const hash = new Bun.CryptoHasher('sha256')
    .update(await Bun.file(join(work, 'layer.tar')).bytes())
    .digest('hex');
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: image.command, Env: ['PATH=/bin'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash}`] },
    history: [{ created_by: 'test/vm/images.ts' }],
  };
  await writeFile(join(work, 'config.json'), JSON.stringify(config));
  const manifest = [{ Config: 'config.json', RepoTags: [image.name], Layers: ['layer.tar'] }];
  await writeFile(join(work, 'manifest.json'), JSON.stringify(manifest));
  await runCommand([
    ...reproducibleTar(work),
    ...['--file', join(directory, image.file), 'manifest.json', 'config.json', 'layer.tar'],
  ]);
  await rm(work, { recursive: true });
}

async function makeRoot(root: string, page: string): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'www/cgi-bin']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await Bun.write(join(root, 'bin/busybox'), Bun.file(BUSYBOX), { mode: 0o755 });
  for (const applet of APPLETS) {
    await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  await writeFile(join(root, 'www/index.html'), page);
  const script = '#!/bin/sh\nprintf "Content-type: text/plain\\r\\n\\r\\n"\nenv\n';
  await writeFile(join(root, 'www/cgi-bin/env'), script, { mode: 0o755 });
}

function reproducibleTar(directory: string): readonly string[] {
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  return ['tar', '--create', ...same, '--directory', directory];
}
