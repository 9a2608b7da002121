/** Where the pages send a reader is there: files, headings, and the places in the tree that they name. */
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Glob } from 'bun';

const ROOT = join(import.meta.dir, '../..');
const PAGES = ['*.md', 'docs/**/*.md', 'changes/*.md', 'test/**/README.md'].flatMap((pattern) => [
  ...new Glob(pattern).scanSync(ROOT),
]);
/** A release moves them into CHANGELOG.md, so their links begin at the root. */
const ENTRIES = /^changes\/(?!README)/;
const LINK = /\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/g;
const CODE_BLOCK = /^ *```[\s\S]*?^ *```/gm;
/** Without `*`, `<name>` and `…`, which stand for many. */
const PLACE = /`((?:src|test|scripts|docs|changes|systemd|\.github)\/[^`\s<*{…]*)`/g;

const read = (page: string) => Bun.file(join(ROOT, page)).text();

/** As GitHub makes it of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

async function anchorsOf(page: string): Promise<readonly string[]> {
  const text = (await read(page)).replaceAll(CODE_BLOCK, '');
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading.trim()));
}

/** @returns the links of a page that lead nowhere */
async function brokenLinks(page: string): Promise<readonly string[]> {
  const base = ENTRIES.test(page) ? '' : dirname(page);
  const links = [...(await read(page)).matchAll(LINK)];
  const broken = await Promise.all(
    links.map(async ([link, file = '', anchor]) => {
      const target = file === '' ? page : join(base, file);
      if (!existsSync(join(ROOT, target))) {
        return [`${page}: ${link}: no such file`];
      }
      const isThere = anchor === undefined || (await anchorsOf(target)).includes(anchor);
      return isThere ? [] : [`${page}: ${link}: no such heading`];
    }),
  );
  return broken.flat();
}

test('each link of the pages leads to a file and a heading', async () => {
  expect(PAGES.length).toBeGreaterThan(100);
  expect((await Promise.all(PAGES.map(brokenLinks))).flat()).toEqual([]);
});

test('each file and folder that CONTRIBUTING and docs name is there', async () => {
  const pages = ['README.md', 'CONTRIBUTING.md', ...new Glob('docs/*.md').scanSync(ROOT)];
  const named = await Promise.all(
    pages.map(async (page) => [...(await read(page)).matchAll(PLACE)].map(([, at = '']) => at)),
  );
  expect(named.flat().length).toBeGreaterThan(100);
  expect(named.flat().filter((place) => !existsSync(join(ROOT, place)))).toEqual([]);
});
