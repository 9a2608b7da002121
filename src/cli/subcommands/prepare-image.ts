import type { PreparedImage } from '../../machine/prepare-image.ts';
import { DRY_RUN_FLAG, JSON_FLAG, PROGRESS_FILE_FLAG } from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';
import { progressFile } from '../terminal/progress-file.ts';
import { renderDetails } from '../terminal/render.ts';

export const prepareImageSubcommand = defineSubcommand({
  name: 'prepare-image',
  description:
    'Puts the agent and k3s on this machine without an identity, so that an image can be made of it. What was set up here is removed, with its data.',
  example: 'sudo pipeops-agent prepare-image --yes',
  flags: {
    ...pick(settingFlags()),
    'dry-run': DRY_RUN_FLAG,
    yes: { type: 'boolean', default: false, description: 'Do not ask before something is removed' },
    'progress-file': PROGRESS_FILE_FLAG,
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: (context, { flags }) => {
    const file = progressFile(context, 'prepare-image', flags['progress-file']);
    return file.follow(async () => {
      const { prepareImage } = await import('../../machine/prepare-image.ts');
      const prepared = await prepareImage(context, {
        flags,
        report: file.report,
        dryRun: flags['dry-run'],
        mayRemove: async (titles) => flags.yes || (await isConfirmed(context, titles)),
      });
      context.io.stdout(
        flags.json ? jsonDocument<'prepare-image'>(prepared) : textOf(prepared, flags['dry-run']),
      );
      return 0;
    });
  },
});

type Flags = ReturnType<typeof settingFlags>;

/** Those that say what is placed, and from where. */
function pick(all: Flags): Pick<Flags, 'config' | 'ca-file' | 'k3s-version' | 'k3s-mirror'> {
  const { config, 'ca-file': ca, 'k3s-version': version, 'k3s-mirror': mirror } = all;
  return { config, 'ca-file': ca, 'k3s-version': version, 'k3s-mirror': mirror };
}

async function isConfirmed(context: CliContext, titles: readonly string[]): Promise<boolean> {
  context.io.stderr(titles.map((title) => `${title}\n`).join(''));
  const question = 'Remove all of that from this machine, with the data of its applications?';
  return (await context.io.confirm(question)) === true;
}

function textOf({ agent, k3s, removed, steps }: PreparedImage, isPlan: boolean): string {
  if (isPlan) {
    const planned = steps.flatMap((step) => ('needed' in step && step.needed ? [step] : []));
    const titles = [...removed, ...planned.map(({ title }) => title)];
    return titles.map((line) => `${line}\n`).join('') + renderDetails(planned);
  }
  return (
    `This machine has agent ${agent} and k3s ${k3s ?? ''}, and no identity of either.\n` +
    // From D-Bus' copy systemd would take the old one again, where that is a file of its own (Debian).
    'Before you make the image: sudo rm -f /var/lib/dbus/machine-id; sudo cloud-init clean --machine-id ' +
    '(without cloud-init: sudo truncate --size 0 /etc/machine-id)\n' +
    'On each machine of it: sudo pipeops-agent install, or join\n'
  );
}
