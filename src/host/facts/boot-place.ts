/** Where the boot loader of this machine has the arguments of the kernel. */
import type { Files } from '../../core/ports.ts';
import { isProgramThere } from './program-there.ts';

/**
 * Given to the kernel, they let it count memory by control groups. The first is known to the kernels of the
 * Raspberry Pi alone, and nothing to others.
 */
export const MEMORY_ARGUMENTS: readonly string[] = ['cgroup_memory=1', 'cgroup_enable=memory'];

interface Deps {
  readonly files: Files;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where the boot loader of this machine has the arguments of the kernel. */
export type BootPlace =
  /** A file that is the arguments, and must stay one line: a Raspberry Pi. */
  | { readonly kind: 'line'; readonly file: string }
  /** A file for the shell; the program makes of it what GRUB reads. */
  | {
      readonly kind: 'grub';
      readonly file: string;
      readonly maker: readonly [string, ...string[]];
      /** What is made. */
      readonly makes: string;
    }
  | { readonly kind: 'grubby' }
  /** Lines to be typed; undefined where nobody knows the boot loader. */
  | { readonly kind: 'by-hand'; readonly lines: ((wanted: string) => string) | undefined };

/** Of a Raspberry Pi, since its system is based on Debian 12; before that one directory up. */
export const BOOT_LINE_FILES = ['/boot/firmware/cmdline.txt', '/boot/cmdline.txt'];
export const GRUB_FILE = '/etc/default/grub';
/** Read by Debian's and Ubuntu's grub-mkconfig behind the file; others do not know the directory. */
export const GRUB_DROP_IN = '/etc/default/grub.d/zz-pipeops.cfg';

export async function findBootPlace(deps: Deps): Promise<BootPlace> {
  const isThere = async (path: string) => (await deps.files.stat(path)) !== undefined;
  for (const file of BOOT_LINE_FILES) {
    if (await isThere(file)) {
      return { kind: 'line', file };
    }
  }
  if (await isThere('/run/ostree-booted')) {
    const append = (each: string) => `sudo rpm-ostree kargs --append=${each}`;
    return { kind: 'by-hand', lines: (wanted) => wanted.split(' ').map(append).join('\n') };
  }
  if (await isProgramThere(deps, 'grubby')) {
    return { kind: 'grubby' };
  }
  return (await isThere(GRUB_FILE))
    ? await placeOfGrub(deps)
    : { kind: 'by-hand', lines: undefined };
}

async function placeOfGrub(deps: Deps): Promise<BootPlace> {
  const [debian, suse] = ['/boot/grub/grub.cfg', '/boot/grub2/grub.cfg'];
  if (await isProgramThere(deps, 'update-grub')) {
    return { kind: 'grub', file: GRUB_DROP_IN, maker: ['update-grub'], makes: debian };
  }
  if (await isProgramThere(deps, 'transactional-update')) {
    const maker = 'transactional-update grub.cfg'; // It makes another snapshot of the system.
    return { kind: 'by-hand', lines: (wanted) => `${editing(wanted)}\nsudo ${maker}` };
  }
  for (const [program, makes] of [
    ['grub2-mkconfig', suse],
    ['grub-mkconfig', debian],
  ] as const) {
    if (await isProgramThere(deps, program)) {
      return { kind: 'grub', file: GRUB_FILE, maker: [program, '-o', makes], makes };
    }
  }
  return { kind: 'by-hand', lines: undefined };
}

/** A line that writes these arguments into GRUB's file. */
export function editing(wanted: string): string {
  return `sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&${wanted} /' ${GRUB_FILE}`;
}
