/** Builds the page of `pipeops-agent dashboard`: the files that src/server/dashboard/ serves. */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';

const SOURCES = join(import.meta.dir, '..', 'src/page');
/** Else the compiler of the executable would take them for parts of the program. */
const SUFFIX = '.page';

/** @returns paths of the files in `out`, which src/platform/page-files.ts finds in the executable */
export async function buildPage(out: string): Promise<readonly string[]> {
  await mkdir(out, { recursive: true });
  const built = await Bun.build({
    entrypoints: [join(SOURCES, 'main.tsx'), join(SOURCES, 'page.css')],
    minify: true,
    target: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const files: Readonly<Record<string, Blob>> = {
    'page.js': part(built.outputs, 'main.js'),
    'page.css': part(built.outputs, 'page.css'),
    'index.html': Bun.file(join(SOURCES, 'index.html')),
    'icon.svg': Bun.file(join(SOURCES, 'icon.svg')),
  };
  return await Promise.all(
    Object.entries(files).map(async ([name, content]) => {
      const path = join(out, `${name}${SUFFIX}`);
      // Two builds at a time may share the folder.
      await Bun.write(`${path}.${process.pid}`, content);
      await rename(`${path}.${process.pid}`, path);
      return path;
    }),
  );
}

function part(outputs: readonly Bun.BuildArtifact[], name: string): Blob {
  const found = outputs.find(({ path }) => path.endsWith(name));
  if (found === undefined) {
    throw new Error(`The page was built without ${name}`);
  }
  return found;
}
