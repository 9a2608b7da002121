/** A small bundle, and the files that it was made of. */

import type { Files } from '../../../src/core/ports.ts';
import { writeBundle } from '../../../src/host/bundle/write.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

export const BUNDLE = '/bundle.tar';
export const CREATED = new Date('2026-01-02T03:04:05Z');
export const PARTS = [
  { part: 'agent', name: 'pipeops-agent', text: 'the agent' },
  { part: 'k3s', name: 'k3s', text: 'k'.repeat(600) },
  { part: 'k3s-installer', name: 'k3s-install.sh', text: '#!/bin/sh\n' },
  { part: 'image-list', name: 'k3s-images.txt', text: '' },
  { part: 'k3s-images', name: 'k3s-airgap-images-amd64.tar', text: 'i'.repeat(512) },
] as const;

export interface BundleStand extends AsyncDisposable {
  readonly files: Files;
  readonly root: string;
}

export async function bundleStand(): Promise<BundleStand> {
  const directory = await tempDirectory();
  const files = systemFiles(directory.path);
  for (const { name, text } of PARTS) {
    await files.writeAtomic(`/${name}`, text, { mode: 0o600 });
  }
  await rewriteBundle(files);
  return {
    files,
    root: directory.path,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** Makes it again, of the files as they are now. */
export async function rewriteBundle(files: Files): Promise<void> {
  const about = {
    architecture: 'amd64',
    agent: { version: '1.2.3' },
    k3s: { version: 'v1.34.4+k3s1' },
    images: ['docker.io/rancher/mirrored-pause:3.6'],
    created: CREATED,
  } as const;
  const sources = PARTS.map(({ part, name }) => ({ part, name, path: `/${name}` }));
  const never = new AbortController().signal;
  await writeBundle(files, BUNDLE, { ...about, sources }, () => undefined, never);
}
