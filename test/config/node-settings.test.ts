import { describe, expect, test } from 'bun:test';
import { type ConfigInputs, loadConfig } from '../../src/config/load.ts';
import type { AgentError } from '../../src/core/errors.ts';
import { failureOf } from '../support/failure-of.ts';

const load = (flags: ConfigInputs['flags'], fileText?: string) =>
  loadConfig({ flags, env: {}, fileText, filePath: '/config.yaml', hostname: 'Node-1' });

async function problemsOf(flags: ConfigInputs['flags']): Promise<unknown> {
  const error: AgentError = await failureOf(() => load(flags));
  return error.details?.['problems'];
}

test('flags with many values are lists, and go before those of the file', () => {
  const file = 'k3s: {node_labels: [a=1], node_ip: [10.0.0.9]}';
  const flags = { 'node-label': 'disk=ssd, example.com/zone=', 'node-name': 'web-1' };
  const { config, sources } = load(flags, file);
  expect(config.k3s).toEqual({
    proxy: 'containerd',
    registry_mirrors: [],
    embedded_registry: false,
    profile: 'standard',
    traefik: false,
    ha: false,
    cluster_cidr: [],
    service_cidr: [],
    tls_san: [],
    node_name: 'web-1',
    node_labels: ['disk=ssd', 'example.com/zone='],
    node_taints: [],
    node_ip: ['10.0.0.9'],
  });
  expect([sources['k3s.node_labels'], sources['k3s.node_ip']]).toEqual(['flag', 'file']);
});

describe('accepts', () => {
  test.each([
    ['node-name', 'web-1.example.com'],
    ['node-label', 'example.com/a.b_c=D.e-f'],
    ['node-label', 'node.kubernetes.io/pool=web'],
    ['node-label', 'topology.kubernetes.io/zone=eu-1'],
    ['node-taint', 'dedicated=gpu:NoSchedule'],
    ['node-taint', 'dedicated:NoExecute,dedicated:PreferNoSchedule'],
    ['node-ip', '10.0.0.1'],
    ['node-ip', '10.0.0.1,fd00::1'],
    ['tls-san', 'k8s.example.com,10.0.0.9,fd00::9'],
    ['server-address', 'k8s.example.com'],
    ['server-address', '10.0.0.9'],
  ])('--%s %s', (flag, text) => {
    expect(() => load({ [flag]: text })).not.toThrow();
  });
});

describe('refuses', () => {
  test.each([
    ['tls-san', 'k8s.example.com,k8s.example.com'],
    ['tls-san', 'https://k8s.example.com'],
    ['tls-san', '10.0.0.256'],
    ['server-address', 'k8s.example.com:6443'],
    ['server-address', '127.0.0.1'],
    ['node-name', 'Web_1'],
    ['node-name', 'a'.repeat(64)],
    ['node-name', 'web-.a'],
    ['node-label', 'disk'],
    ['node-label', 'a=b=c'],
    ['node-label', '=b'],
    ['node-label', 'a=-b'],
    ['node-label', `a=${'b'.repeat(64)}`],
    ['node-label', 'Example.com/a=b'],
    ['node-label', 'a/b/c=d'],
    ['node-label', 'node-role.kubernetes.io/worker=true'],
    ['node-label', 'foo.k8s.io/x=1'],
    ['node-label', 'a=1,a=2'],
    ['node-taint', 'dedicated=gpu'],
    ['node-taint', 'dedicated=gpu:Never'],
    ['node-taint', ':NoSchedule'],
    ['node-taint', 'a=b c:NoSchedule'],
    ['node-taint', 'a=1:NoSchedule,a=2:NoSchedule'],
    ['node-ip', 'web-1'],
    ['node-ip', '10.0.0.256'],
    ['node-ip', '127.0.0.1'],
    ['node-ip', '169.254.1.1'],
    ['node-ip', '::1'],
    ['node-ip', 'fe80::1'],
    ['node-ip', '10.0.0.1,10.0.0.2'],
  ])('--%s %s', async (flag, text) => {
    const name = flag.replace(/-(label|taint)$/, '_$1s').replaceAll('-', '_');
    expect(await problemsOf({ [flag]: text })).toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^k3s\\.${name}: `))]),
    );
  });

  test('each value by name, and all at once', async () => {
    expect(
      await problemsOf({ 'node-label': 'a=1,b', 'node-taint': 'c', 'node-ip': '::1' }),
    ).toEqual([
      'k3s.node_labels: "b" is not a label such as disk=ssd',
      'k3s.node_taints: "c" is not a taint such as dedicated=gpu:NoSchedule',
      'k3s.node_ip: "::1" is not an address that other machines reach this one by',
    ]);
  });
});
