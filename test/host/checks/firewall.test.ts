/** Firewalls by what their tools print; nft of a real machine: test/e2e/doctor-network.test.ts. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import { firewallOpen } from '../../../src/host/checks/firewall.ts';
import type { FactDeps, Subject } from '../../../src/host/facts/fact.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps, subjectOf } from '../../support/fact-deps.ts';
import { findingOf, outcomeOf } from './outcome-of.ts';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

/** A machine whose programs print this, by their line; others it does not have. */
function printing(
  outputs: Readonly<Record<string, string>>,
  subject: Partial<Subject> = {},
): FactDeps {
  return factDeps(machine.path, {
    subject: subjectOf(subject),
    exec: {
      run: async (argv) => {
        const stdout = outputs[argv.join(' ')];
        if (stdout === undefined) {
          throw new AgentError('TOOL_MISSING', 'It is not there', { hint: 'Look' });
        }
        return { exitCode: 0, stdout, stderr: '' };
      },
    },
  });
}

const UFW_ALLOWING = `Status: active
Logging: on (low)
Default: allow (incoming), allow (outgoing), disabled (routed)
New profiles: skip
`;
const UFW_OFF = 'Status: inactive\n';
const UFW_OPEN = `Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
6443/tcp                   ALLOW       Anywhere
10250/tcp                  ALLOW       10.0.0.0/24
8472/udp on eth0           ALLOW IN    10.0.0.0/24                # flannel
Anywhere                   ALLOW       10.42.0.0/16
Anywhere                   ALLOW       10.43.0.0/16
22/tcp (v6)                ALLOW       Anywhere (v6)
`;

test('no firewall, one that is off, and one that lets all pass', async () => {
  expect(await outcomeOf(firewallOpen, printing({}))).toEqual({ state: 'ok' });
  for (const status of [UFW_OFF, UFW_OPEN, UFW_ALLOWING]) {
    const outputs = { 'ufw status verbose': status };
    expect(await outcomeOf(firewallOpen, printing(outputs))).toEqual({ state: 'ok' });
  }
});

test('ufw that only lets people in: the commands for a server', async () => {
  const closed = 'Status: active\n\nTo  Action  From\n22/tcp   LIMIT   Anywhere\n';
  expect(await findingOf(firewallOpen, printing({ 'ufw status verbose': closed }))).toEqual({
    code: 'CHECK_FAILED',
    message:
      'ufw keeps out 6443/tcp (the API), 10250/tcp (the kubelet), 8472/udp (pods of other nodes), packets from 10.42.0.0/16, packets from 10.43.0.0/16',
    hint: 'Let that pass (the ports only from the other nodes, where it is a public network)',
    fix: [
      'sudo ufw allow from 10.42.0.0/16 to any',
      'sudo ufw allow from 10.43.0.0/16 to any',
      'sudo ufw allow 6443/tcp',
      'sudo ufw allow 10250/tcp',
      'sudo ufw allow 8472/udp',
    ].join('\n'),
    details: {
      closed: [
        {
          where: 'ufw',
          ports: [
            { protocol: 'tcp', first: 6443, last: 6443, purpose: 'the API' },
            { protocol: 'tcp', first: 10250, last: 10250, purpose: 'the kubelet' },
            { protocol: 'udp', first: 8472, last: 8472, purpose: 'pods of other nodes' },
          ],
          networks: ['10.42.0.0/16', '10.43.0.0/16'],
        },
      ],
    },
  });
});

test('a worker needs less, a server with etcd more', async () => {
  const outputs = { 'ufw status verbose': UFW_OPEN.replaceAll(/^(6443|8472).*\n/gm, '') };
  const worker = printing(outputs, { role: 'worker', k3sRole: 'agent' });
  expect((await findingOf(firewallOpen, worker))?.message).toBe(
    'ufw keeps out 8472/udp (pods of other nodes)',
  );
  await machine.put(
    '/etc/rancher/k3s/config.yaml',
    'cluster-init: true\nflannel-backend: wireguard-native\n',
  );
  expect((await findingOf(firewallOpen, printing({ 'ufw status verbose': UFW_OPEN })))?.fix).toBe(
    'sudo ufw allow 51820/udp\nsudo ufw allow 2379:2380/tcp',
  );
});

test('firewalld has its own commands, in its zones', async () => {
  const zone =
    'public (active)\n  target: default\n  services: ssh\n  ports: 6443/tcp 10200-10300/tcp\n';
  const outputs = {
    'firewall-cmd --state': 'running',
    'firewall-cmd --list-all': zone,
    'firewall-cmd --zone=trusted --list-sources': '10.42.0.0/16\n',
  };
  expect(await findingOf(firewallOpen, printing(outputs))).toMatchObject({
    message: 'firewalld keeps out 8472/udp (pods of other nodes), packets from 10.43.0.0/16',
    fix: [
      'sudo firewall-cmd --permanent --zone=trusted --add-source=10.43.0.0/16',
      'sudo firewall-cmd --permanent --add-port=8472/udp',
      'sudo firewall-cmd --reload',
    ].join('\n'),
  });
  const open = { ...outputs, 'firewall-cmd --list-all': 'trusted (active)\n  target: ACCEPT\n' };
  expect(await outcomeOf(firewallOpen, printing(open))).toEqual({ state: 'ok' });
});

const CHAIN = { family: 'inet', table: 'filter', name: 'input', hook: 'input', prio: 0 };

/** nft(8) that shows one table with one base chain and these rules in it. */
function nft(chain: object, rules: readonly (readonly object[])[], others: readonly object[] = []) {
  const one = { ...CHAIN, ...chain };
  const rows = rules.map((expr) => ({
    rule: { family: one.family, table: one.table, chain: one.name, expr },
  }));
  const json = (nftables: readonly object[]) => JSON.stringify({ nftables });
  return {
    'nft --json list chains': json([{ metainfo: {} }, { chain: one }]),
    [`nft --json list table ${one.family} ${one.table}`]: json([
      { chain: one },
      ...rows,
      ...others,
    ]),
  };
}

const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
const dport = (protocol: string, right: unknown) =>
  match({ payload: { protocol, field: 'dport' } }, right);
const saddr = (addr: string, len: number) =>
  match({ payload: { protocol: 'ip', field: 'saddr' } }, { prefix: { addr, len } });
const accept = { accept: null };
const drop = { drop: null };

const USUAL = [
  [match({ ct: { key: 'state' } }, { set: ['established', 'related'] }), accept],
  [match({ meta: { key: 'iifname' } }, 'lo'), accept],
  [dport('tcp', { set: [22, { range: [6000, 7000] }] }), accept],
];

test('a chain that drops what no rule accepts', async () => {
  const found = await findingOf(firewallOpen, printing(nft({ policy: 'drop' }, USUAL)));
  expect(found).toMatchObject({
    message:
      "the chain input of nftables' table inet filter keeps out 10250/tcp (the kubelet), 8472/udp (pods of other nodes)",
    fix: [
      'sudo nft insert rule inet filter input tcp dport 10250 accept',
      'sudo nft insert rule inet filter input udp dport 8472 accept',
    ].join('\n'),
    hint: expect.stringContaining('lasts until the next start'),
  });
});

test('a rule at the end that drops all is as good as a policy', async () => {
  const rules = [...USUAL, [dport('tcp', 10250), accept], [{ counter: { packets: 1 } }, drop]];
  expect((await findingOf(firewallOpen, printing(nft({ policy: 'accept' }, rules))))?.fix).toBe(
    'sudo nft insert rule inet filter input udp dport 8472 accept',
  );
});

test('what is allowed from some, or by a chain that another leads to, is let through', async () => {
  const rules = [[saddr('10.0.0.0', 24), accept], [{ jump: { target: 'nodes' } }]];
  const target = { family: 'inet', table: 'filter', chain: 'nodes' };
  const others = [{ rule: { ...target, expr: [saddr('10.42.0.0', 15), accept] } }];
  const open = nft({ policy: 'drop' }, rules, others);
  expect(await outcomeOf(firewallOpen, printing(open))).toEqual({ state: 'ok' });
});

test('what a rule sends out of the chain does not come to the rules behind it', async () => {
  const target = { family: 'inet', table: 'filter', chain: 'nodes' };
  const others = [{ rule: { ...target, expr: [dport('tcp', 22), accept] } }];
  const returned = [dport('tcp', 10250), { return: null }];
  const gone = [dport('udp', 8472), { goto: { target: 'nodes' } }];
  const perhaps = [match({ meta: { key: 'mark' } }, 1), { return: null }];
  const fixWith = async (policy: string, rules: readonly (readonly object[])[]) =>
    (await findingOf(firewallOpen, printing(nft({ policy }, rules, others))))?.fix?.split('\n');
  const all = [...USUAL, returned, gone, [drop]];
  const insert = 'sudo nft insert rule inet filter input';
  expect(await fixWith('accept', all)).toBeUndefined();
  expect(await fixWith('drop', all)).toEqual([
    `${insert} tcp dport 10250 accept`,
    `${insert} udp dport 8472 accept`,
  ]);
  const jumped = [dport('udp', 8472), { jump: { target: 'nodes' } }];
  expect(await fixWith('accept', [...USUAL, returned, jumped, [drop]])).toEqual([
    `${insert} udp dport 8472 accept`,
  ]);
  expect(await fixWith('accept', [...USUAL, perhaps, [drop]])).toBeUndefined();
});

test('a rule that nft itself cannot show counts in favour of passing', async () => {
  const open = nft({ policy: 'drop' }, [[{ xt: { type: 'match', name: 'multiport' } }, accept]]);
  expect(await outcomeOf(firewallOpen, printing(open))).toEqual({ state: 'ok' });
  const shut = nft({ policy: 'accept' }, [[{ xt: { type: 'match', name: 'recent' } }, drop]]);
  expect(await outcomeOf(firewallOpen, printing(shut))).toEqual({ state: 'ok' });
});

test('packets between pods pass through the machine', async () => {
  const forward = { name: 'forward', hook: 'forward', policy: 'drop' };
  expect(await findingOf(firewallOpen, printing(nft(forward, USUAL)))).toMatchObject({
    message: "the chain forward of nftables' table inet filter keeps out packets from 10.42.0.0/16",
    fix: [
      'sudo nft insert rule inet filter forward ip saddr 10.42.0.0/16 accept',
      'sudo nft insert rule inet filter forward ip daddr 10.42.0.0/16 accept',
    ].join('\n'),
  });
});

test('without root nothing is said of firewalls', async () => {
  expect(await outcomeOf(firewallOpen, { ...printing({}), uid: 1000 })).toEqual({
    state: 'not-checked',
    because: 'The rules of firewalls cannot be read; root may',
  });
});
