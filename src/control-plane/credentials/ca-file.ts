import { X509Certificate } from 'node:crypto';
import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates in a file, or why there are none. */
export type CaFile = { readonly pem: string } | { readonly problem: string };

/**
 * Reads the file of `control_plane.ca_file`. A file without valid certificates makes nobody
 * trusted.
 */
export async function readCaFile(files: Files, path: string): Promise<CaFile> {
  try {
    const pem = await files.readText(path);
    if (pem === undefined) {
      return { problem: `there is no file ${path}` };
    }
    const certificates = pem.match(CERTIFICATES) ?? [];
    const readable = certificates.every(isCertificate);
    return certificates.length > 0 && readable
      ? { pem }
      : { problem: `there is no certificate (PEM) in ${path}` };
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return { problem: thrown.message };
    }
    throw thrown;
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false; // The caller names the file.
  }
}
