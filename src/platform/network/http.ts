import type { Http } from '../../core/ports.ts';

/** Bun's fetch: TLS from `init.tls`, never through a proxy (own-environment.ts). */
export const systemHttp: Http = (url, init) => fetch(url, init as RequestInit);
