/**
 * Container images, made without a container engine: `bun scripts/image/main.ts agent|control-plane --out
 * DIRECTORY [--target linux-x64|linux-arm64]` (both when absent). DIRECTORY becomes an OCI image layout
 * (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md) with one image index; the same
 * sources and the same C library give the same bytes. It needs apt-get, dpkg-deb, tar and gzip.
 *
 * `push --from DIRECTORY --to REGISTRY/NAME:TAG` sends it. It needs Go. REGISTRY_USER and
 * REGISTRY_PASSWORD log in before; else a login counts that a container engine has stored.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { $ } from 'bun';
import { ARCHITECTURES, type Architecture, isTarget, TARGETS } from './architectures.ts';
import { type ImageContent, writeImageLayout } from './oci-layout.ts';
import { makeRoot } from './root.ts';

const ROOT = join(import.meta.dir, '../..');
/** Its checksum is verified by Go's public log of modules. */
const CRANE = 'github.com/google/go-containerregistry/cmd/crane@v0.22.1';

/** What is in each image beside the C library, and how it starts. */
const IMAGES = {
  agent: {
    build: buildAgent,
    file: 'pipeops-agent',
    arguments: ['run'],
    directories: ['etc/pipeops-agent', 'run/pipeops-agent/daemon', 'var/lib/pipeops-agent'],
  },
  'control-plane': {
    build: buildControlPlane,
    file: 'control-plane',
    arguments: ['--listen', '0.0.0.0:8090', '--token-file', '/run/secrets/control-plane-token'],
    directories: [],
  },
} as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    target: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
  },
});
const [word = ''] = positionals;

async function buildAgent(architecture: Architecture): Promise<string> {
  await $`${process.execPath} scripts/build.ts --target ${architecture.target}`.cwd(ROOT).quiet();
  return join(ROOT, 'dist', `pipeops-agent-${architecture.target}`);
}

async function buildControlPlane({ target, bun }: Architecture): Promise<string> {
  const outfile = join(ROOT, 'dist', `control-plane-${target}`);
  const flags = ['--compile', `--target=${bun}`, '--minify-whitespace', '--outfile', outfile];
  await $`${process.execPath} build ${flags} scripts/control-plane.ts`.cwd(ROOT).quiet();
  return outfile;
}

async function build(name: keyof typeof IMAGES, out: string): Promise<void> {
  const { build: buildExecutable, file, arguments: args, directories } = IMAGES[name];
  const wanted = ARCHITECTURES.filter(({ target }) => target === (values.target ?? target));
  const { version } = await Bun.file(join(ROOT, 'package.json')).json();
  const contents: ImageContent[] = [];
  for (const architecture of wanted) {
    console.error(`Building ${name} for ${architecture.target}`);
    const executable = await buildExecutable(architecture);
    const root = await makeRoot(architecture, { executable, name: file, directories });
    contents.push({
      architecture: architecture.oci,
      ...root,
      entrypoint: [`/usr/local/bin/${file}`],
      arguments: args,
      labels: {
        'org.opencontainers.image.title': `pipeops-${name}`,
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    });
  }
  console.log(await writeImageLayout(out, contents));
}

async function push(from: string, to: string): Promise<void> {
  const { REGISTRY_USER: user, REGISTRY_PASSWORD: password } = process.env;
  if (user !== undefined && password !== undefined) {
    const registry = to.slice(0, to.indexOf('/'));
    const login = ['auth', 'login', registry, '--username', user, '--password-stdin'];
    await $`go run ${CRANE} ${login} < ${new Response(password)}`;
  }
  await $`go run ${CRANE} push --index ${from} ${to}`;
}

function isImage(name: string): name is keyof typeof IMAGES {
  return Object.hasOwn(IMAGES, name);
}

if (values.target !== undefined && !isTarget(values.target)) {
  console.error(`Unknown target "${values.target}". Known: ${TARGETS.join(', ')}`);
  process.exitCode = 2;
} else if (isImage(word) && values.out !== undefined) {
  await build(word, values.out);
} else if (word === 'push' && values.from !== undefined && values.to !== undefined) {
  await push(values.from, values.to);
} else {
  console.error(
    'Usage: bun scripts/image/main.ts agent|control-plane --out DIRECTORY\n' +
      '       bun scripts/image/main.ts push --from DIRECTORY --to REGISTRY/NAME:TAG',
  );
  process.exitCode = 2;
}
