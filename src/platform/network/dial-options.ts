import type { ProxySettings } from '../../core/proxy-settings.ts';

export interface DialOptions {
  /** Certificates (PEM) to trust instead of the public ones. */
  readonly ca: string | undefined;
  readonly proxy: ProxySettings;
}
