import { resolve } from 'node:path';
import { loadConfig } from '../../config/load.ts';
import { AgentError } from '../../core/errors.ts';
import { BUILD } from '../../core/version.ts';
import type { DescribedBundle } from '../../machine/bundle.ts';
import type { Report } from '../../machine/reported-steps.ts';
import type { FlagValues } from '../definition/arguments.ts';
import { JSON_FLAG, PROGRESS_FILE_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { progressFile } from '../terminal/progress-file.ts';
import { renderTable } from '../terminal/render.ts';
import { INSTALL_FLAGS, runInstall } from './install.ts';

const ARCHITECTURES = ['amd64', 'arm64'] as const;
const FILE_WORD = { name: 'FILE', description: 'The bundle', required: true } as const;

/** The bundle is a word. */
const { bundle: _, ...OTHER_INSTALL_FLAGS } = INSTALL_FLAGS;
const {
  'k3s-version': k3sVersion,
  'k3s-mirror': k3sMirror,
  'ca-file': caFile,
  'allow-insecure': allowInsecure,
} = settingFlags();

const CREATE_FLAGS = {
  output: {
    type: 'string',
    description: 'Where to write it (default pipeops-bundle-VERSION-ARCHITECTURE.tar)',
    valueHint: 'FILE',
  },
  architecture: {
    type: 'string',
    description: "For which processors; this machine's when absent",
    valueHint: ARCHITECTURES.join('|'),
    values: ARCHITECTURES,
  },
  executable: {
    type: 'string',
    description: 'pipeops-agent of the same version for that architecture; this one when absent',
    valueHint: 'FILE',
  },
  'k3s-version': k3sVersion,
  'k3s-mirror': k3sMirror,
  'ca-file': caFile,
  'allow-insecure': allowInsecure,
  'progress-file': PROGRESS_FILE_FLAG,
  json: JSON_FLAG,
} as const;

export const bundleCreateSubcommand = defineSubcommand({
  name: 'bundle create',
  description:
    'Makes a bundle on a machine with internet (or a mirror): this program, k3s and its images. Broken off, it goes on where it ended.',
  example: 'pipeops-agent bundle create --output pipeops-bundle.tar',
  flags: CREATE_FLAGS,
  words: [],
  needsRoot: false,
  run: (context, { flags }) => {
    const file = progressFile(context, 'bundle create', flags['progress-file']);
    return file.follow(() => create(context, flags, file.report));
  },
});

async function create(
  context: CliContext,
  flags: FlagValues<typeof CREATE_FLAGS>,
  report: Report,
): Promise<number> {
  const { json, output, architecture, executable, 'progress-file': _, ...settings } = flags;
  const { env, hostname, places } = context;
  const file = { fileText: undefined, filePath: places.configFile };
  const { config } = loadConfig({ flags: settings, env, hostname, ...file });
  const { createBundle } = await import('../../machine/bundle.ts');
  const known = knownArchitecture(architecture);
  // A bundle belongs to one version of the agent, and to one kind of processor.
  const processor = known ?? (context.architecture === 'x64' ? 'amd64' : 'arm64');
  const name = `pipeops-bundle-${BUILD.version}-${processor}.tar`;
  const described = await createBundle(context, config, {
    report,
    output: resolve(output ?? name),
    architecture: known,
    executable: executable === undefined ? undefined : resolve(executable),
  });
  context.io.stdout(
    json
      ? renderJson(described)
      : `${renderBundle(context, described)}\nOn the machine without internet:\n` +
          '  tar -xf FILE pipeops-agent && sudo ./pipeops-agent install --bundle FILE\n',
  );
  return 0;
}

export const bundleVerifySubcommand = defineSubcommand({
  name: 'bundle verify',
  description: 'Reads a bundle from its beginning to its end and compares all hashes.',
  example: 'pipeops-agent bundle verify pipeops-bundle.tar',
  flags: { json: JSON_FLAG },
  words: [FILE_WORD],
  needsRoot: false,
  run: async (context, { flags, words }) => {
    const { readBundle } = await import('../../machine/bundle.ts');
    const bundle = await readBundle(context, resolve(words.FILE));
    context.io.stdout(flags.json ? renderJson(bundle) : renderBundle(context, bundle));
    return 0;
  },
});

export const bundleInstallSubcommand = defineSubcommand({
  name: 'bundle install',
  description: 'Makes this machine a Kubernetes server from a bundle, without a network.',
  example: 'sudo pipeops-agent bundle install bundle.tar --token-file /root/token',
  flags: OTHER_INSTALL_FLAGS,
  words: [FILE_WORD],
  needsRoot: true,
  locks: true,
  run: (context, { flags, words }) =>
    runInstall(context, { ...flags, bundle: resolve(words.FILE) }),
});

function knownArchitecture(given: string | undefined): (typeof ARCHITECTURES)[number] | undefined {
  const known = ARCHITECTURES.find((each) => each === given);
  if (given !== undefined && known === undefined) {
    throw new AgentError('USAGE', `There is no bundle for "${given}"`, {
      hint: `Use --architecture ${ARCHITECTURES.join(' or ')}`,
    });
  }
  return known;
}

/** The promise behind `--json`. */
function renderJson({ path, sizeBytes, manifest }: DescribedBundle): string {
  const { created, architecture, agent, k3s, images, files } = manifest;
  const about = { agent_version: agent.version, k3s_version: k3s.version, created, architecture };
  const listed = files.map(({ name, size_bytes, sha256 }) => ({ name, size_bytes, sha256 }));
  const document = { path, size_bytes: sizeBytes, ...about, images, files: listed };
  return jsonDocument<'bundle create'>(document);
}

function renderBundle({ io }: CliContext, { path, sizeBytes, manifest }: DescribedBundle): string {
  const { agent, architecture, files, images, k3s } = manifest;
  const rows = [
    ['Bundle', `${path}, ${megabytes(sizeBytes)}`],
    ['For', architecture],
    ['Versions', `pipeops-agent ${agent.version}, k3s ${k3s.version}`],
    ['Images', `${images.length}`],
    ...files.map(({ name, size_bytes, sha256 }) => [
      name,
      `${megabytes(size_bytes)}, sha256 ${sha256}`,
    ]),
  ];
  return renderTable(rows, io.columns);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
