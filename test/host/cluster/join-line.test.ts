import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { joinLine, offeredJoinLine } from '../../../src/host/cluster/join-line.ts';

const README = join(import.meta.dir, '../../../README.md');
const USUAL = { baseUrl: undefined, k3sMirror: undefined };

test("the usual line is README's", async () => {
  const lines = (await Bun.file(README).text()).split('\n');
  expect(lines).toContain(joinLine('pj1.…', USUAL).replace("'pj1.…'", 'pj1.…'));
});

test('the line of a mirror names it, and k3s from elsewhere', () => {
  const sources = {
    baseUrl: 'https://mirror.test/a/',
    k3sMirror: 'https://k3s.test,https://b.test',
  };
  expect(joinLine('pj1.a.b', sources)).toEndWith(
    'curl -fsSL https://mirror.test/a/install.sh | ' +
      'sudo PIPEOPS_BASE_URL=https://mirror.test/a PIPEOPS_K3S_MIRROR=https://k3s.test,https://b.test ' +
      'sh -s -- join --token-file /root/join-token',
  );
});

/** What a shell makes of a line, with every program in it replaced by one that tells its words. */
function told(line: string): string {
  // To standard error, because the output of one is the input of the next.
  const functions = ['sudo', 'curl'].map(
    (name) => `${name}() { printf '<%s>' ${name} "$@" >&2; }; `,
  );
  return Bun.spawnSync(['sh', '-c', functions.join('') + line]).stderr.toString();
}

test('nothing in an address is code for the shell', () => {
  const baseUrl = "https://mirror.test/$(id)/`id`/'x'; id #";
  expect(told(joinLine('pj1.a.b', { baseUrl, k3sMirror: undefined }))).toContain(
    `<PIPEOPS_BASE_URL=${baseUrl}>`,
  );
  const from = {
    url: "https://10.0.0.1:8444/'$(id)'/install.sh",
    pin: 'sha256//a+b/c=',
    script: '',
  };
  const shown = told(offeredJoinLine('pj1.a.b', from));
  expect(shown).toContain(`<--pinnedpubkey><${from.pin}><${from.url}>`);
  expect(shown).toContain('<sudo><sh><-s><--><join><--token-file></root/join-token>');
});

/** What a shell does with an offer's line when `arrives` comes from the server. */
function joinedWith(arrives: string): { readonly exitCode: number; readonly output: string } {
  const script = '# the offer\necho "ran $*"\n\n';
  const from = { url: 'https://10.0.0.1:8444/x/install.sh', pin: 'sha256//a=', script };
  // The token is put nowhere here.
  const sudo = 'sudo() { if [ "$2" = -c ]; then cat >/dev/null; else "$@"; fi; }; ';
  const line = `curl() { printf %s "$ARRIVES"; }; ${sudo}${offeredJoinLine('pj1.a.b', from)}`;
  const env = { ...process.env, ARRIVES: arrives };
  const { exitCode, stdout, stderr } = Bun.spawnSync(['sh', '-c', line], { env });
  return { exitCode, output: `${stdout}${stderr}` };
}

test("an offer's line runs what this server wrote, and nothing else, whatever curl has let pass", () => {
  expect(joinedWith('# the offer\necho "ran $*"\n\n')).toEqual({
    exitCode: 0,
    output: 'ran join --token-file /root/join-token\n',
  });
  expect(joinedWith('# the offer\necho "ran $*"; id\n')).toEqual({
    exitCode: 1,
    output: 'What came is not from this server: nothing was run\n',
  });
});
