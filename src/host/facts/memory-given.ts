import { expectedError } from '../../core/errors.ts';
import { bootArguments } from './boot-arguments.ts';
import { MEMORY_ARGUMENTS } from './boot-place.ts';
import type { Fact } from './fact.ts';
import { outputOf } from './tool-output.ts';

/** Whether the kernel is told at the next start to count memory by control groups; false where only root may know. */
export const isMemoryGiven: Fact<boolean> = {
  id: 'memory-given',
  read: async (deps, facts) => {
    const { place } = await facts(bootArguments);
    const isIn = (text: string | undefined) =>
      MEMORY_ARGUMENTS.every((argument) => (text ?? '').split(/[\s"]+/).includes(argument));
    try {
      switch (place.kind) {
        case 'line':
          return isIn(await deps.files.readText(place.file));
        case 'grub':
          return isIn(await deps.files.readText(place.makes));
        case 'grubby':
          return isIn(await outputOf(deps, ['grubby', '--info=DEFAULT']));
        case 'by-hand':
          return false;
      }
    } catch (thrown) {
      if (expectedError(thrown).code === 'FILE_ACCESS') {
        return false;
      }
      throw thrown;
    }
  },
};
