/** What a machine keeps of the offer that it joined by: nothing. On real machines: test/e2e. */
import { expect, test } from 'bun:test';
import { JOIN, JOIN_TOKEN } from '../../support/installation.ts';
import { MIRROR, simulatedMachine } from '../../support/simulated-machine.ts';
import { makeCertificates } from '../../support/tls.ts';

const OFFER = '/run/pipeops-agent-offer.pem';
const PLACE = 'https://place.test/agent';
const OF_REGISTRIES = [
  '/etc/rancher/k3s/pipeops-registry-ca.pem',
  '/etc/rancher/k3s/registries.yaml',
];

test.each([
  ['of an offer is not trusted for images', OFFER, []],
  ['of a person is trusted for images, too', '/root/ca.pem', OF_REGISTRIES],
])('a certificate %s', async (_, file, expected) => {
  await using machine = await simulatedMachine();
  const { ca } = await makeCertificates(['10.0.0.1']);
  await machine.files.makeDirectory('/run', { mode: 0o755 });
  await machine.files.writeAtomic(file, ca, { mode: 0o644 });
  const env = { PIPEOPS_K3S_MIRROR: MIRROR, PIPEOPS_CA_FILE: file };
  const ran = await machine.run(JOIN, { env, stdin: JOIN_TOKEN });
  expect(ran.exitCode).toBe(0);
  const left = Object.keys(await machine.tree());
  expect(OF_REGISTRIES.filter((path) => left.includes(path))).toEqual(expected);
});

test.each([
  ['a server offers is forgotten: it ends with the token', `${PLACE}/k3s`, undefined],
  ['stays is kept: upgrades ask there', MIRROR, PLACE],
])('a place of programs that %s', async (_, mirror, expected) => {
  await using machine = await simulatedMachine();
  for (const [address, answer] of [...machine.web]) {
    if (address.startsWith(MIRROR)) {
      machine.web.set(address.replace(MIRROR, `${PLACE}/k3s`), answer);
    }
  }
  const env = { PIPEOPS_BASE_URL: PLACE, PIPEOPS_K3S_MIRROR: mirror };
  const ran = await machine.run(JOIN, { env, stdin: JOIN_TOKEN });
  expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
  const text = (await machine.files.readText('/etc/pipeops-agent/config.yaml')) ?? '';
  const { agent } = Bun.YAML.parse(text) as { agent: { base_url?: string } };
  expect(agent.base_url).toBe(expected);
});
