/** A server of releases, in the shape that install.sh expects, with a small script as program. */

import { gzipSync, spawnSync, zstdCompressSync } from 'bun';

/** Says what it was given: its arguments, where its standard input is, its environment. */
const PROGRAM = `#!/bin/sh
printf 'argument:%s\\n' "$@"
printf 'stdin:%s\\n' "$(/usr/bin/readlink /proc/self/fd/0)"
/usr/bin/env | /usr/bin/sed 's/^/environment:/'
`;

/** Set by a shell itself. */
const SHELL_VARIABLES = ['PWD', 'OLDPWD', 'SHLVL', '_'];

export interface HandedOver {
  readonly arguments: readonly string[];
  readonly stdin: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** @param stdout of the fake program */
export function parseHandedOver(stdout: string): HandedOver {
  const valuesOf = (label: string) =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith(`${label}:`))
      .map((line) => line.slice(label.length + 1));
  const variables = valuesOf('environment')
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const)
    .filter(([name]) => !SHELL_VARIABLES.includes(name));
  return {
    arguments: valuesOf('argument'),
    stdin: valuesOf('stdin').join(),
    environment: Object.fromEntries(variables),
  };
}

export interface Tls {
  readonly cert: string;
  readonly key: string;
}

/** As the end of a file's name. */
export type Packing = keyof typeof PACK;

const PACK = {
  gz: gzipSync,
  zst: zstdCompressSync,
  xz: (bytes: Uint8Array<ArrayBuffer>) => spawnSync(['xz', '-c'], { stdin: bytes }).stdout,
} as const;

export interface FakeRelease extends AsyncDisposable {
  readonly baseUrl: string;
  /** Paths that were asked for, in order. */
  readonly requests: string[];
  /** Makes a version the newest. The comment makes the program longer. Without packings it is as it is. */
  readonly publish: (version: string, comment?: string, packings?: readonly Packing[]) => void;
  /** What the program of the version is. */
  readonly program: (comment?: string) => string;
  readonly answer: (path: string, respond: () => Response) => void;
  /** Breaks every connection. */
  readonly stop: () => Promise<void>;
}

export function startFakeRelease(options: { readonly tls?: Tls } = {}): FakeRelease {
  const answers = new Map<string, () => Response>();
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // A download may stand still for as long as a test wants.
    idleTimeout: 0,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
      return answers.get(pathname)?.() ?? new Response('Not here', { status: 404 });
    },
  });
  const program = (comment = '') => `${PROGRAM}# ${comment}\n`;
  return {
    baseUrl: server.url.href.replace(/\/$/, ''),
    requests,
    program,
    publish: (version, comment, packings = ['gz']) => {
      const sums: string[] = [];
      for (const name of ['pipeops-agent-linux-x64', 'pipeops-agent-linux-arm64']) {
        const unpacked = new TextEncoder().encode(program(comment));
        sums.push(`${sha256(unpacked)}  ${name}\n`);
        if (packings.length === 0) {
          answers.set(`/${version}/${name}`, () => new Response(unpacked));
        }
        for (const packing of packings) {
          const packed = new Uint8Array(PACK[packing](unpacked));
          sums.push(`${sha256(packed)}  ${name}.${packing}\n`);
          answers.set(`/${version}/${name}.${packing}`, () => new Response(packed));
        }
      }
      answers.set(`/${version}/SHA256SUMS`, () => new Response(sums.join('')));
      answers.set('/latest', () => new Response(`${version}\n`));
    },
    answer: (path, respond) => void answers.set(path, respond),
    stop: () => server.stop(true),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
}
