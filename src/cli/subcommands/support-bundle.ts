import { resolve } from 'node:path';
import type { SupportBundle } from '../../machine/support-bundle/make.ts';
import { JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

const MEBIBYTE = 1024 * 1024;

export const supportBundleSubcommand = defineSubcommand({
  name: 'support-bundle',
  description:
    'Writes one file with all that somebody needs to help: journals, settings, checks, health, nodes. Secrets are taken out. It changes nothing and sends nothing.',
  example: 'sudo pipeops-agent support-bundle',
  flags: {
    output: {
      type: 'string',
      description: 'Where to write it (default pipeops-support-HOSTNAME.tar.gz, here)',
      valueHint: 'FILE',
    },
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  run: async (context, { flags }) => {
    const { makeSupportBundle } = await import('../../machine/support-bundle/make.ts');
    const { readAsDaemon } = await import('../../machine/support-bundle/secrets.ts');
    const path = resolve(flags.output ?? `pipeops-support-${context.hostname}.tar.gz`);
    const made = await makeSupportBundle(context, path, {
      checks: () => true,
      readOfDaemon: readAsDaemon,
    });
    context.io.stdout(flags.json ? jsonDocument<'support-bundle'>(made) : textOf(made));
    return 0;
  },
});

function textOf({ file, size_bytes, parts }: SupportBundle): string {
  const missing = parts.flatMap(({ name, problem }) =>
    problem === null ? [] : [`Not in it: ${name}: ${problem}\n`],
  );
  const size = (size_bytes / MEBIBYTE).toFixed(1);
  return (
    `${missing.join('')}Wrote ${file} (${size} MiB). Secrets are taken out; look at it before you send it:\n` +
    `  tar -xzOf ${file} README.txt\n`
  );
}
