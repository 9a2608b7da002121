/**
 * The C library of an image: Debian's, of whatever processor, from Debian's archive. apt checks the
 * signature of the archive with the keys of `debian-archive-keyring`, also on other distributions.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { $, Glob } from 'bun';

const SUITE = 'bookworm';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** @returns the path of the package below `work` */
export async function downloadLibc(architecture: string, work: string): Promise<string> {
  const mirror = process.env['PIPEOPS_TEST_DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian';
  const apt = join(work, `apt-${architecture}`);
  for (const directory of ['lists/partial', 'archives/partial', 'downloads']) {
    await mkdir(join(apt, directory), { recursive: true });
  }
  const from = (archive: string, suite: string) =>
    `deb [signed-by=${KEYRING} arch=${architecture}] ${archive} ${suite} main\n`;
  const sources = from(mirror, SUITE) + from(`${mirror}-security`, `${SUITE}-security`);
  await Bun.write(join(apt, 'sources.list'), sources);
  await Bun.write(join(apt, 'status'), '');
  const options = [
    ...['-qq', '-o', `APT::Architecture=${architecture}`, '-o', `Dir::State::lists=${apt}/lists`],
    ...['-o', `Dir::State::status=${apt}/status`, '-o', `Dir::Cache=${apt}`],
    ...['-o', `Dir::Etc::sourcelist=${apt}/sources.list`, '-o', 'Dir::Etc::sourceparts=/dev/null'],
    ...['-o', `APT::Architectures=${architecture}`, '-o', 'APT::Sandbox::User=root'],
  ];
  await $`apt-get ${options} update`.quiet();
  await $`apt-get ${options} download libc6`.cwd(join(apt, 'downloads')).quiet();
  const [file] = [...new Glob('libc6_*.deb').scanSync(join(apt, 'downloads'))];
  if (file === undefined) {
    throw new Error(`Cannot find libc6 for ${architecture} in ${mirror}`);
  }
  return join(apt, 'downloads', file);
}
