import type { Files } from '../../core/ports.ts';
import type { Fact } from './fact.ts';

/** Options of a kernel: about 300 KB. */
const CONFIG_LIMIT_BYTES = 4 * 1024 * 1024;
/** Names of some thousand modules, with what each needs. */
const MODULES_LIMIT_BYTES = 16 * 1024 * 1024;

export interface Kernel {
  /** `6.1.0-28-amd64` */
  readonly release: string;
  /** `y`, `m` by option, `CONFIG_VXLAN`; undefined where its configuration is nowhere to be read. */
  readonly options: ReadonlyMap<string, string> | undefined;
  /** Loaded, or part of the kernel. */
  readonly present: ReadonlySet<string>;
  /** Those that can be loaded; undefined where nothing tells. */
  readonly loadable: ReadonlySet<string> | undefined;
  /** File systems that it knows now. */
  readonly fileSystems: ReadonlySet<string>;
  /** Its modules are gone, those of another kernel are there: it was upgraded and not yet restarted. */
  readonly isReplaced: boolean;
}

export const kernel: Fact<Kernel> = {
  id: 'kernel',
  read: async ({ files }) => {
    const release = ((await files.readText('/proc/sys/kernel/osrelease')) ?? '').trim();
    const directory = await modulesDirectory(files, release);
    const [options, loaded, builtIn, known, loadable, fileSystems] = await Promise.all([
      readOptions(files, release),
      readNames(files, '/proc/modules', (line) => line.split(' ')[0]),
      readModules(files, `${directory}/modules.builtin`),
      files.list('/sys/module'),
      readModules(files, `${directory}/modules.dep`),
      readNames(files, '/proc/filesystems', (line) => line.split('\t').at(-1)),
    ]);
    const others = (await files.list('/lib/modules')).filter((name) => name !== release);
    return {
      release,
      options,
      present: new Set([...(loaded ?? []), ...(builtIn ?? []), ...known.map(moduleName)]),
      loadable,
      fileSystems: fileSystems ?? new Set(),
      isReplaced: loadable === undefined && loaded !== undefined && others.length > 0,
    };
  },
};

/** The same directory has either name, unless /lib is a directory of its own. */
async function modulesDirectory(files: Files, release: string): Promise<string> {
  const path = `/lib/modules/${release}`;
  return (await files.stat(`${path}/modules.dep`)) === undefined ? `/usr${path}` : path;
}

async function readOptions(
  files: Files,
  release: string,
): Promise<ReadonlyMap<string, string> | undefined> {
  const packed = await files.readBytes('/proc/config.gz', CONFIG_LIMIT_BYTES);
  const places = [
    `/boot/config-${release}`,
    `/lib/modules/${release}/config`,
    `/usr/lib/modules/${release}/config`,
    `/usr/lib/ostree-boot/config-${release}`,
  ];
  let text = packed === undefined ? undefined : unpacked(packed);
  for (const place of places) {
    text ??= await files.readText(place, CONFIG_LIMIT_BYTES);
  }
  return text === undefined
    ? undefined
    : new Map(
        [...text.matchAll(/^(CONFIG_\w+)=(\S+)$/gm)].map(([, name = '', v = '']) => [name, v]),
      );
}

function unpacked(packed: Uint8Array): string {
  return new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(packed)));
}

/** Of lines as `kernel/net/netfilter/xt-mark.ko.zst: kernel/…` (modules.dep(5)). */
async function readModules(files: Files, path: string): Promise<ReadonlySet<string> | undefined> {
  return readNames(files, path, (line) => {
    const file = line.split(':')[0]?.split('/').at(-1) ?? '';
    return file.split('.ko')[0];
  });
}

async function readNames(
  files: Files,
  path: string,
  nameIn: (line: string) => string | undefined,
): Promise<ReadonlySet<string> | undefined> {
  const text = await files.readText(path, MODULES_LIMIT_BYTES);
  const names = text?.split('\n').map((line) => moduleName(nameIn(line) ?? ''));
  return names === undefined ? undefined : new Set(names);
}

/** A file may be called `xt-mark`, the module is `xt_mark`. */
function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}
