import { type BootPlace, editing, findBootPlace } from './boot-place.ts';
import type { Fact } from './fact.ts';

/** How arguments get to the kernel of this machine. */
export interface BootArguments {
  readonly place: BootPlace;
  /** Command lines that add these arguments; they count from the next start on. */
  addition(wanted: string): string;
}

export const bootArguments: Fact<BootArguments> = {
  id: 'boot-arguments',
  read: async (deps) => {
    const place = await findBootPlace(deps);
    return { place, addition: (wanted) => `${linesOf(place, wanted)}\nsudo reboot` };
  },
};

function linesOf(place: BootPlace, wanted: string): string {
  switch (place.kind) {
    case 'line':
      return `sudo sed -i '1 s/$/ ${wanted}/' ${place.file}`;
    case 'grub':
      return `${editing(wanted)}\nsudo ${place.maker.join(' ')}`;
    case 'grubby':
      return `sudo grubby --update-kernel=ALL --args="${wanted}"`;
    case 'by-hand':
      return place.lines?.(wanted) ?? `# in the configuration of the boot loader, add: ${wanted}`;
  }
}
