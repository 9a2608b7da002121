import type { Files } from '../../core/ports.ts';
import { placeFile } from '../engine/place-file.ts';
import { type K3sOrigin, PROGRAM_MODE } from '../k3s/origin.ts';
import { type Bundle, invalid } from './verify.ts';

/** k3s' installer has about 40 KB. */
const INSTALLER_LIMIT_BYTES = 1024 * 1024;

/** What an installation of k3s needs, from a bundle: nothing is asked of a network. */
export function bundleOrigin(files: Files, bundle: Bundle): K3sOrigin {
  return {
    newestVersion: async () => bundle.manifest.k3s.version,
    installer: () => installerText(files, bundle),
    placeProgram: async (version, path, update, signal) => {
      update(`placing k3s ${version}`);
      const to = { path, mode: PROGRAM_MODE };
      await placeFile(files, bundle.file('k3s'), to, signal);
    },
    releasesUrl: undefined,
    isOnline: false,
  };
}

async function installerText(files: Files, bundle: Bundle): Promise<string> {
  const { offset, sizeBytes, sha256 } = bundle.file('k3s-installer');
  if (sizeBytes > INSTALLER_LIMIT_BYTES) {
    throw invalid(bundle.path, `its installer of k3s has over ${INSTALLER_LIMIT_BYTES} bytes`);
  }
  const file = await files.openFile(bundle.path);
  try {
    const bytes = (await file?.read(offset, sizeBytes)) ?? new Uint8Array();
    const found = new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
    if (found !== sha256) {
      throw invalid(bundle.path, 'it was changed while it was used');
    }
    return Buffer.from(bytes).toString();
  } finally {
    await file?.close();
  }
}
