import type { Http } from '../core/ports.ts';

/** Bun's fetch: TLS from `init.tls`, HTTP(S)_PROXY and NO_PROXY from the environment. */
export const systemHttp: Http = (url, init) => fetch(url, init as RequestInit);
