/** What `upgrade` and `rollback` start in processes of their own; no person types them. */
import { defineSubcommand } from '../definition/subcommand.ts';

/** Run by pipeops-agent-upgrade.service. */
export const upgradeWatchSubcommand = defineSubcommand({
  name: 'upgrade watch',
  description: 'Changes the version, judges the new one, and goes back if it is not well.',
  example: 'pipeops-agent upgrade watch',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { watchUpgrade } = await import('../../machine/upgrade/watch.ts');
    await watchUpgrade(context, (line) => context.io.stdout(`${line}\n`));
    return 0;
  },
});

/** Run as the version that takes over. */
export const upgradePlaceUnitSubcommand = defineSubcommand({
  name: 'upgrade place-unit',
  description: 'Writes the units that this version is made for.',
  example: 'pipeops-agent upgrade place-unit',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { placeUnits } = await import('../../machine/upgrade/place-units.ts');
    await placeUnits(context);
    return 0;
  },
});

/** Run by the package's scripts, of the version that it has just placed. */
export const upgradeAfterPackageSubcommand = defineSubcommand({
  name: 'upgrade after-package',
  description: 'Tries the version that a package has placed, and restarts the daemon with it.',
  example: 'pipeops-agent upgrade after-package',
  flags: {},
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context) => {
    const { takeOverFromPackage } = await import('../../machine/upgrade/after-package.ts');
    context.io.stdout(`${await takeOverFromPackage(context)}\n`);
    return 0;
  },
});

/** Run as the agent's user, of the version that is to take over and of the present one. */
export const upgradeSelfTestSubcommand = defineSubcommand({
  name: 'upgrade self-test',
  description: 'Says whether this version runs here and can use a copy of the state.',
  example: 'pipeops-agent upgrade self-test --copy FILE',
  flags: {
    from: { type: 'string', description: 'The store to copy first', valueHint: 'FILE' },
    copy: { type: 'string', description: 'The copy', valueHint: 'FILE', default: '' },
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { selfTest } = await import('../../machine/upgrade/self-test.ts');
    const told = await selfTest(context, { from: flags.from, copy: flags.copy });
    context.io.stdout(`${JSON.stringify(told)}\n`);
    return 0;
  },
});
