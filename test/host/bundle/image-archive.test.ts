import { expect, test } from 'bun:test';
import { imagesIn } from '../../../src/host/bundle/image-archive.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { failureOf } from '../../support/failure-of.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

const never = new AbortController().signal;
const DOCKER = JSON.stringify([
  { Config: 'a.json', RepoTags: ['rancher/pause:3.6', 'busybox:1'] },
  { Config: 'b.json', RepoTags: ['registry.example:5000/web:2'] },
  { Config: 'c.json', RepoTags: null },
]);
const DOCKER_IMAGES = [
  'docker.io/library/busybox:1',
  'docker.io/rancher/pause:3.6',
  'registry.example:5000/web:2',
];
const OCI = JSON.stringify({
  manifests: [
    { annotations: { 'io.containerd.image.name': 'docker.io/rancher/pause:3.6' } },
    { digest: 'sha256:0' },
  ],
});

/** An archive as tar(1) makes it: layers before and behind the list. */
async function archive(list: string, name: string) {
  const directory = await tempDirectory();
  const { path } = directory;
  await Bun.write(`${path}/in/layers/${'long'.repeat(40)}/layer.tar`, new Uint8Array(700_000));
  await Bun.write(`${path}/in/${name}`, list);
  await Bun.write(`${path}/in/z`, new Uint8Array(3));
  await Bun.$`tar --format=gnu -cf ${path}/images.tar -C ${path}/in layers ./${name} z`.quiet();
  const bytes = await Bun.file(`${path}/images.tar`).bytes();
  await Bun.write(`${path}/images.tar.gz`, Bun.gzipSync(bytes));
  await Bun.write(`${path}/images.tar.zst`, await Bun.zstdCompress(bytes));
  await Bun.write(`${path}/cut.tar.zst`, (await Bun.zstdCompress(bytes)).subarray(0, -20));
  await Bun.write(`${path}/cut.tar`, bytes.subarray(0, 400_000));
  return {
    images: (file: string) => imagesIn(systemFiles(path), `/${file}`, never),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

test.each(['images.tar', 'images.tar.gz', 'images.tar.zst'])(
  'the images of an archive of Docker are found in %s, by their whole names',
  async (file) => {
    await using made = await archive(DOCKER, 'manifest.json');
    expect(await made.images(file)).toEqual(DOCKER_IMAGES);
  },
);

test('the images of an OCI layout are found', async () => {
  await using made = await archive(OCI, 'index.json');
  expect(await made.images('images.tar.zst')).toEqual(['docker.io/rancher/pause:3.6']);
});

test.each([
  ['that is cut off', DOCKER, 'cut.tar'],
  ['that is cut off and packed', DOCKER, 'cut.tar.zst'],
  ['with a list of nothing', '[]', 'images.tar'],
  ['with a list that is none', 'no list', 'images.tar'],
])('an archive %s is refused', async (_, list, file) => {
  await using made = await archive(list, 'manifest.json');
  expect(await failureOf(() => made.images(file))).toMatchObject({ code: 'DOWNLOAD_CORRUPT' });
});
