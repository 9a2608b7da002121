/** Packs what the memory holds. Loaded with its first value: a server alone has none, and needs no zlib. */
import { promisify } from 'node:util';
import { gunzip, gzip, type ZlibOptions } from 'node:zlib';

export const zip = promisify(gzip);
export const unzip = promisify<Uint8Array, ZlibOptions, Buffer>(gunzip);
