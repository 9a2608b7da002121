import { describe, expect, test } from 'bun:test';
import { isSameNoProxy, noProxyList } from '../../../src/host/k3s/no-proxy.ts';

const list = (given: string, nodeAddresses = ['10.0.0.1'], k3s = {}) =>
  noProxyList({ nodeAddresses, k3s, given });

describe('what is reached without the proxy', () => {
  test('is loopback, this node, the networks and names of the cluster, and link-local', () => {
    expect(list('')).toEqual([
      ...['localhost', '127.0.0.0/8', '::1', '10.0.0.1', '10.42.0.0/16', '10.43.0.0/16'],
      ...['.svc', '.cluster.local', '169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254'],
    ]);
  });

  test('follows what k3s is told, in a list or in one text, and names nothing twice', () => {
    const k3s = {
      'cluster-cidr': ['10.1.0.0/16', 'fd01::/48'],
      'service-cidr': '10.2.0.0/16, fd02::/112',
      'cluster-domain': 'corp.internal',
    };
    expect(list('localhost .corp  .corp,10.0.0.1', ['10.0.0.1'], k3s)).toEqual([
      ...['localhost', '127.0.0.0/8', '::1', '10.0.0.1', '10.1.0.0/16', 'fd01::/48'],
      ...['10.2.0.0/16', 'fd02::/112', '.svc', '.corp.internal', '169.254.0.0/16', 'fe80::/10'],
      ...['fd00:ec2::254', '.corp'],
    ]);
  });
});

describe('a list that is written already', () => {
  test.each([
    ['has another address of this machine', '', list('', ['10.0.0.1', '172.17.0.1']), true],
    ['lacks a name that a person gave', '.corp', list(''), false],
    ['lacks an address that a person gave', '192.0.2.1', list(''), false],
    ['has a name that a person took away', '', list('.corp'), false],
    ['has other networks', '', list('', [], { 'cluster-cidr': '10.9.0.0/16' }), false],
    ['is in another order', '', list('').toReversed(), true],
  ])('that %s is the same: with "%s" given', (_, given, written, isSame) => {
    expect(isSameNoProxy(written.join(','), list(given), given)).toBe(isSame);
  });
});
