/** The fields that `--json` promises. That subcommands keep to them, their own tests see: support/promised-json.ts. */
import { expect, test } from 'bun:test';
import { describeProgram } from '../../src/cli/help/document.ts';
import { SUBCOMMANDS } from '../../src/cli/subcommands/list.ts';
import { JSON_DOCUMENTS } from '../../src/protocol/json-documents.ts';
import { cliContext } from '../support/cli-context.ts';
import { checkPromisedJson } from '../support/promised-json.ts';
import { tempDirectory } from '../support/temp-dir.ts';

test('each subcommand for people that has --json says what it prints, and no other one', async () => {
  const { subcommands } = await describeProgram(SUBCOMMANDS);
  const withJson = subcommands.filter(({ flags }) => flags.some(({ name }) => name === '--json'));
  const documented = Object.keys(JSON_DOCUMENTS).filter((name) => SUBCOMMANDS[name]?.summary);
  expect(documented.sort()).toEqual(withJson.map(({ name }) => name).sort());
});

test.each(['version', 'config show', 'policy show', 'policy presets', 'doctor'])(
  '%s prints what it promises',
  async (name) => {
    await using root = await tempDirectory();
    const ran = await cliContext({ root: root.path }).run(...name.split(' '), '--json');
    expect(JSON.parse(ran.stdout)).not.toHaveProperty('error');
  },
);

test.each([
  ['a field that is not promised', { version: '1', commit: 'a', bun: '1', more: 1 }],
  ['one that is missing', { version: '1', commit: 'a' }],
  ['one of another type', { version: 1, commit: 'a', bun: '1' }],
])('%s is found', (_, document) => {
  const check = () => checkPromisedJson(['version', '--json'], JSON.stringify(document));
  expect(check).toThrow('prints what is not promised');
});

test('an error is promised of each', () => {
  const text = '{"error":{"code":"USAGE","message":"m","hint":"h"}}';
  expect(() => checkPromisedJson(['version', '--json'], text)).not.toThrow();
});
