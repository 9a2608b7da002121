import type { Fact, FactDeps } from './fact.ts';
import { isProgramThere } from './program-there.ts';

/** How arguments get to the kernel of this machine. */
export interface BootArguments {
  /** The file in which they stand; undefined where that is not known. */
  readonly file: string | undefined;
  /** Command lines that add these arguments; they count from the next start on. */
  addition(wanted: string): string;
}

const REBOOT = 'sudo reboot';

/** Of a Raspberry Pi, since its system is based on Debian 12; before that one directory up. */
const PI_FILES = ['/boot/firmware/cmdline.txt', '/boot/cmdline.txt'];
const GRUB_FILE = '/etc/default/grub';
/** What makes the boot loader's file anew, by the program that does. */
const GRUB_MAKERS: readonly (readonly [program: string, line: string])[] = [
  ['update-grub', 'update-grub'],
  ['transactional-update', 'transactional-update grub.cfg'],
  ['grub2-mkconfig', 'grub2-mkconfig -o /boot/grub2/grub.cfg'],
  ['grub-mkconfig', 'grub-mkconfig -o /boot/grub/grub.cfg'],
];

export const bootArguments: Fact<BootArguments> = {
  id: 'boot-arguments',
  read: placeOf,
};

async function placeOf(deps: FactDeps): Promise<BootArguments> {
  const isThere = async (path: string) => (await deps.files.stat(path)) !== undefined;
  for (const file of PI_FILES) {
    if (await isThere(file)) {
      // It must stay one line.
      return one(file, (wanted) => `sudo sed -i '1 s/$/ ${wanted}/' ${file}`);
    }
  }
  if (await isThere('/run/ostree-booted')) {
    return one(undefined, (wanted) =>
      wanted
        .split(' ')
        .map((each) => `sudo rpm-ostree kargs --append=${each}`)
        .join('\n'),
    );
  }
  if (await isProgramThere(deps, 'grubby')) {
    return one(undefined, (wanted) => `sudo grubby --update-kernel=ALL --args="${wanted}"`);
  }
  for (const [program, line] of (await isThere(GRUB_FILE)) ? GRUB_MAKERS : []) {
    if (await isProgramThere(deps, program)) {
      return one(
        GRUB_FILE,
        (wanted) => `sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&${wanted} /' ${GRUB_FILE}\nsudo ${line}`,
      );
    }
  }
  return {
    file: undefined,
    addition: (wanted) => `# in the configuration of the boot loader, add: ${wanted}\n${REBOOT}`,
  };
}

function one(file: string | undefined, change: (wanted: string) => string): BootArguments {
  return { file, addition: (wanted) => `${change(wanted)}\n${REBOOT}` };
}
