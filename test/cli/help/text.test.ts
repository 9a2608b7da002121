/** What `--help` shows, of every subcommand: by every way to ask for it. */
import { describe, expect, test } from 'bun:test';
import { secondWordsOf } from '../../../src/cli/definition/listed.ts';
import { shownFlags } from '../../../src/cli/help/text.ts';
import { SUBCOMMANDS } from '../../../src/cli/subcommands/list.ts';
import { wrapText } from '../../../src/cli/terminal/wrap-text.ts';
import { cliContext } from '../../support/cli-context.ts';

const COLUMNS = 80;
const NAMES = Object.keys(SUBCOMMANDS);
const GROUPS = ['token', 'config', 'policy'];

/** What it prints; it must be no error. */
async function helpOf(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await cliContext({ root: '/nonexistent', uid: 1000 }).run(
    ...words,
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

test.each(NAMES)('help of "%s" is the same by every way to ask for it', async (name) => {
  const words = name.split(' ');
  const help = await helpOf(...words, '--help');
  expect(help).toContain(`\nUsage: pipeops-agent ${name}`);
  const others = [
    [...words, '-h'],
    ['help', ...words],
    ['--help', ...words],
    ['help', ...words, '--help'],
  ];
  expect(await Promise.all(others.map((each) => helpOf(...each)))).toEqual(others.map(() => help));
});

test.each(GROUPS)('help of "%s" lists what may follow it', async (group) => {
  const help = await helpOf(group, '--help');
  expect(help).toStartWith(`Usage: pipeops-agent ${group} <subcommand> [flags]\n`);
  for (const second of secondWordsOf(SUBCOMMANDS, group)) {
    expect(help).toContain(`\n  ${group} ${second} `);
  }
  expect(await helpOf('help', group)).toBe(help);
  expect(await helpOf(group, '-h')).toBe(help);
});

test('no help has a line that is longer than 80 columns, and every description is whole', async () => {
  const pages = [[], ...GROUPS.map((each) => [each]), ...NAMES.map((each) => each.split(' '))];
  for (const words of pages) {
    const help = await helpOf(...words, '--help');
    expect(help.split('\n').filter((line) => line.length > COLUMNS)).toEqual([]);
    const flat = help.replaceAll(/\s+/g, ' ');
    const subcommand = await SUBCOMMANDS[words.join(' ')]?.load();
    for (const [, { description }] of subcommand === undefined ? [] : shownFlags(subcommand)) {
      expect(flat).toContain(description);
    }
  }
});

test.each(['-v', '-V', '--version'])('%s prints the version', async (flag) => {
  expect(await helpOf(flag)).toMatch(/^\S+\n$/);
});

test('join lists the settings that a worker has, and no other', async () => {
  const flags = [...(await helpOf('join', '--help')).matchAll(/^ {2}--([a-z0-9-]+)/gm)];
  const listed = flags.map(([, name = '']) => name);
  expect(listed).toContain('port');
  expect(listed).toContain('k3s-version');
  const ofServers = ['api-url', 'cluster-name', 'agent-id', 'transport', 'traefik', 'ha'];
  expect(
    listed.filter((name) => [...ofServers, 'tls-port', 'allow-insecure'].includes(name)),
  ).toEqual([]);
});

describe('a word that is not known', () => {
  const hintFor = async (...words: string[]) => {
    const { stderr } = await cliContext({ root: '/nonexistent' }).run(...words);
    return /hint: (.*)\n/.exec(stderr)?.[1];
  };

  test.each(['down', 'up', 'kubectl', 'start'])('"%s" is near to nothing', async (word) => {
    expect(await hintFor(word)).toBe('See: pipeops-agent --help');
    expect(await hintFor('help', word)).toBe('See: pipeops-agent --help');
  });

  test('behind "token" is answered with the nearest one, or with an example', async () => {
    expect(await hintFor('token', 'creat')).toBe(
      'Did you mean "token create"? See: pipeops-agent token --help',
    );
    expect(await hintFor('token', 'burn')).toBe('For example: pipeops-agent token create');
  });

  test('what is for units alone is not suggested', async () => {
    expect(await hintFor('credentials')).toBe('See: pipeops-agent --help');
  });
});

describe('wrapText()', () => {
  test('breaks between words only, and gives a long word a line of its own', () => {
    expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapText('a extraordinarily b', 5)).toEqual(['a', 'extraordinarily', 'b']);
    expect(wrapText('  much   room ', 80)).toEqual(['much room']);
    expect(wrapText('', 80)).toEqual([]);
  });
});
