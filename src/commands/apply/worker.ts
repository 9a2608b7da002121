/** Runs in a thread of its own (`platform/worker.ts`): reads one large manifest. */
import { type ManifestText, readManifest } from './manifest.ts';

declare const self: {
  onmessage: (event: { readonly data: ManifestText }) => void;
  postMessage(message: unknown): void;
};

self.onmessage = ({ data }) => self.postMessage(readManifest(data));
