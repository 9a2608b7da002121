/** Where `scripts/build.ts` puts the files of the page into the executable. */
const FOLDER = '/$bunfs/root/page/';
/** Else the compiler would take them for parts of the program. */
const SUFFIX = '.page';

/** A file of the page by its name. Undefined where there is none such, and in a program that is not compiled. */
export async function systemPageFile(name: string): Promise<string | undefined> {
  const file = Bun.file(`${FOLDER}${name}${SUFFIX}`);
  return (await file.exists()) ? await file.text() : undefined;
}
