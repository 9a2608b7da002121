/** The images of k3s in one archive, and their list, as a release of k3s has them for machines without internet. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce, contentHash } from './cache.ts';
import { runCommand } from './host-command.ts';
import { PAUSE_IMAGE, testImages, WEB_IMAGE } from './images.ts';

const IMAGES = [
  { file: 'pause.tar', name: PAUSE_IMAGE },
  { file: 'test-web-1.tar', name: WEB_IMAGE },
];

export interface AirgapImages {
  /** Path of the archive (`docker save`). */
  readonly archive: string;
  /** Path of the list, one name a line. */
  readonly list: string;
}

export async function airgapImages(): Promise<AirgapImages> {
  const images = await testImages();
  const source = await Bun.file(import.meta.path).text();
  const directory = await buildOnce(`airgap-${contentHash([source, images])}`, async (output) => {
    const work = join(output, 'work');
    for (const { file } of IMAGES) {
      await mkdir(join(work, file), { recursive: true });
      await runCommand(['tar', '-xf', join(images, file), '-C', join(work, file)]);
    }
    const manifest = IMAGES.map(({ file, name }) => ({
      Config: `${file}/config.json`,
      RepoTags: [name],
      Layers: [`${file}/layer.tar`],
    }));
    await writeFile(join(work, 'manifest.json'), JSON.stringify(manifest));
    const names = ['manifest.json', ...IMAGES.map(({ file }) => file)];
    await runCommand(['tar', '-cf', join(output, 'images.tar'), '-C', work, ...names]);
    await writeFile(join(output, 'images.txt'), IMAGES.map(({ name }) => `${name}\n`).join(''));
    await rm(work, { recursive: true });
  });
  return { archive: join(directory, 'images.tar'), list: join(directory, 'images.txt') };
}
