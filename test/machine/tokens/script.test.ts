/** The script that a machine runs which joins by a server: install.sh, told where everything is. */
import { expect, test } from 'bun:test';
import { NO_RELEASE_KEYS } from '../../../src/core/release-keys.ts';
import { offerScript } from '../../../src/machine/tokens/script.ts';
import { findShells } from '../../install-sh/shells.ts';

const facts = {
  releaseKeys: NO_RELEASE_KEYS,
  baseUrl: 'https://10.0.0.1:8444/secret',
  k3sMirror: 'https://10.0.0.1:8444/secret/k3s',
  certificate: '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n',
};
const own = { ...facts, processor: process.arch === 'x64' ? 'x86_64' : 'aarch64' };
const LAST_BYTES = 200;
const STEP_BYTES = 1_000;

const NOBODY = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];

function run(shell: readonly string[], script: string) {
  const ran = Bun.spawnSync([...NOBODY, ...shell, '-s', '--', 'join'], {
    stdin: Buffer.from(script),
    env: { PATH: '/usr/bin:/bin' },
  });
  return { exitCode: ran.exitCode, stderr: ran.stderr.toString() };
}

test('the new machine knows the release by the keys of the server, however old its signature is', () => {
  const roots = ['MCowA', 'MCowB'];
  const releaseKeys = { purpose: 'release', oldest_key: 3, roots };
  const lines = offerScript({ ...own, releaseKeys }).split('\n');
  for (const line of [
    "RELEASE_ROOTS='MCowA MCowB'",
    'RELEASE_KEY_OLDEST=3',
    'RELEASE_PURPOSE=release',
    'PIPEOPS_ALLOW_EXPIRED=yes',
  ]) {
    expect(lines).toContain(line);
  }
});

for (const { name, argv } of findShells()) {
  test(`${name} runs all of it, with the place of the server`, () => {
    // Without root it ends before it has written anything.
    expect(run(argv, offerScript(own))).toEqual({
      exitCode: 4,
      stderr: expect.stringContaining(`curl -fsSL ${facts.baseUrl}/install.sh | sudo sh`),
    });
  });

  test(`${name} runs nothing of it that broke off`, () => {
    const script = offerScript(own);
    const cuts = Array.from({ length: script.length - 2 }, (_, bytes) => bytes + 1).filter(
      (bytes) => bytes % STEP_BYTES === 0 || bytes > script.length - LAST_BYTES,
    );
    const harmful = cuts.filter((bytes) => {
      const { exitCode, stderr } = run(argv, script.slice(0, bytes));
      return stderr.includes('pipeops-agent') || ![0, 2].includes(exitCode);
    });
    expect(harmful).toEqual([]);
  });

  test(`${name} refuses a machine of another kind`, () => {
    expect(run(argv, offerScript({ ...facts, processor: 'vax' }))).toEqual({
      exitCode: 4,
      stderr: expect.stringContaining('The server offers programs for vax'),
    });
  });
}
