/** The files of an image: one executable, the C library it is linked to, and a user without rights. */

import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { $, Glob } from 'bun';
import type { Architecture } from './architectures.ts';
import { downloadLibc } from './debian-libc.ts';

/** As in other small images, so that a volume's owner can be the same for all. */
export const USER_ID = 65_532;
/** The longest that `tar` writes a time: files of an image have none. */
const NO_TIME = '@0';
const SYSTEM_DIRECTORIES = ['etc', 'run/secrets', 'tmp', 'usr/local/bin', 'usr/lib', 'usr/lib64'];
/** Links of a merged /usr: the loader's path in an executable begins with one of them. */
const LINKS = { lib: 'usr/lib', lib64: 'usr/lib64' } as const;

export interface ImageRoot {
  /** Layer, `.tar.gz`. */
  readonly layer: Uint8Array<ArrayBuffer>;
  /** sha256 of the layer before it is packed, hexadecimal. */
  readonly unpackedDigest: string;
}

export interface RootContent {
  readonly executable: string;
  /** Of the executable in the image. */
  readonly name: string;
  /** What the user of the image may write to, without the leading slash. */
  readonly directories: readonly string[];
}

export async function makeRoot(
  architecture: Architecture,
  { executable, name, directories }: RootContent,
): Promise<ImageRoot> {
  const work = await mkdtemp(join(tmpdir(), 'pipeops-image-'));
  try {
    const root = join(work, 'root');
    for (const directory of [...SYSTEM_DIRECTORIES, ...directories]) {
      await mkdir(join(root, directory), { recursive: true });
    }
    await placeLibc(await downloadLibc(architecture.debian, work), work, root);
    await copyFile(executable, join(root, 'usr/local/bin', name));
    await chmod(join(root, 'usr/local/bin', name), 0o755);
    await chmod(join(root, 'tmp'), 0o1777);
    const group = `nonroot:x:${USER_ID}:\n`;
    const user = `nonroot:x:${USER_ID}:${USER_ID}::/nonexistent:/sbin/nologin\n`;
    await Bun.write(join(root, 'etc/passwd'), `root:x:0:0:root:/root:/sbin/nologin\n${user}`);
    await Bun.write(join(root, 'etc/group'), `root:x:0:\n${group}`);
    return await pack(root, directories);
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Its libraries, its licence, and a note of its version for who scans the image. */
async function placeLibc(archive: string, work: string, root: string): Promise<void> {
  const libc = join(work, 'libc');
  await $`dpkg-deb --extract ${archive} ${libc}`;
  for (const [link, target] of Object.entries(LINKS)) {
    await symlink(target, join(root, link));
    for (const from of [link, target]) {
      if (existsSync(join(libc, from))) {
        await $`cp --archive ${libc}/${from}/. ${root}/${target}/`;
      }
    }
  }
  for (const tables of new Glob('usr/lib/*/gconv').scanSync({ cwd: root, onlyFiles: false })) {
    await rm(join(root, tables), { recursive: true }); // Of character sets: only UTF-8 is used.
  }
  const licence = join(root, 'usr/share/doc/libc6/copyright');
  await mkdir(dirname(licence), { recursive: true });
  await copyFile(join(libc, 'usr/share/doc/libc6/copyright'), licence);
  const fields = ['Package', 'Version', 'Architecture', 'Source', 'Maintainer'];
  const note = await $`dpkg-deb --field ${archive} ${fields}`.text();
  const path = join(root, 'var/lib/dpkg/status.d/libc6');
  await Bun.write(path, `${note.trimEnd()}\nStatus: install ok installed\n`);
}

async function pack(root: string, directories: readonly string[]): Promise<ImageRoot> {
  const archive = `${root}.tar`;
  const same = ['--sort=name', `--mtime=${NO_TIME}`, '--numeric-owner', '--format=gnu'];
  const ours = ['--owner=0', '--group=0', ...directories.map((each) => `--exclude=./${each}`)];
  await $`tar --create --file ${archive} ${same} ${ours} --directory ${root} .`;
  if (directories.length > 0) {
    const users = [`--owner=${USER_ID}`, `--group=${USER_ID}`, '--no-recursion'];
    const paths = directories.map((each) => `./${each}`);
    await $`tar --append --file ${archive} ${same} ${users} --directory ${root} ${paths}`;
  }
  const hasher = new Bun.CryptoHasher('sha256').update(await Bun.file(archive).bytes());
  const layer = await $`gzip -6 --no-name --stdout ${archive}`.arrayBuffer();
  return { layer: new Uint8Array(layer), unpackedDigest: hasher.digest('hex') };
}
