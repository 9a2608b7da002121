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
    hint: 'Let that pass (the ports only from the other nodes, where it is a public network). Some of it can be done for you (sudo pipeops-agent doctor --fix, or --open-firewall of install and join)',
    fix: [
      'sudo ufw allow from 10.42.0.0/16',
      'sudo ufw allow from 10.43.0.0/16',
      'sudo ufw allow 6443/tcp',
      'sudo ufw allow 10250/tcp',
      'sudo ufw allow 8472/udp',
    ].join('\n'),
    rules: [
      { kind: 'ufw-rule', name: 'allow from 10.42.0.0/16' },
      { kind: 'ufw-rule', name: 'allow from 10.43.0.0/16' },
    ],
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

test('a port that only pods may use is closed to other nodes', async () => {
  const status = UFW_OPEN.replace(
    '10250/tcp                  ALLOW       10.0.0.0/24',
    '10250/tcp ALLOW 10.42.0.0/16',
  );
  const found = await findingOf(firewallOpen, printing({ 'ufw status verbose': status }));
  expect(found?.message).toBe('ufw keeps out 10250/tcp (the kubelet)');
});

test('a worker needs less, a server with etcd more', async () => {
  const outputs = { 'ufw status verbose': UFW_OPEN.replaceAll(/^(6443|8472).*\n/gm, '') };
  const worker = printing(outputs, { role: 'worker', k3sRole: 'agent' });
  expect((await findingOf(firewallOpen, worker))?.message).toBe(
    'ufw keeps out 8472/udp (pods of other nodes)',
  );
  await machine.put(
    '/etc/rancher/k3s/config.yaml',
    'cluster-init: true\nflannel-backend: wireguard-native\nembedded-registry: true\n',
  );
  expect((await findingOf(firewallOpen, printing({ 'ufw status verbose': UFW_OPEN })))?.fix).toBe(
    'sudo ufw allow 51820/udp\nsudo ufw allow 5001/tcp\nsudo ufw allow 2379:2380/tcp',
  );
});

/** A machine in a private network, with links of containers beside it. */
const PRIVATE: Partial<FactDeps> = {
  addresses: () => ['10.0.0.5', '172.17.0.1', '203.0.113.9'],
};
const ROUTES = JSON.stringify([
  { dst: 'default', gateway: '10.0.0.1', dev: 'eth0' },
  { dst: '10.0.0.0/24', dev: 'eth0' },
  { dst: '172.17.0.0/16', dev: 'docker0' },
  { dst: '203.0.113.0/24', dev: 'eth1' },
]);
const routes = { 'ip -json -4 route show table all': ROUTES };

test('in a private network ports are opened to that alone, and nothing is left to do by hand', async () => {
  const closed = 'Status: active\n\nTo  Action  From\n22/tcp   ALLOW IN   Anywhere\n';
  const outputs = { 'ufw status verbose': closed, ...routes };
  const found = await findingOf(firewallOpen, { ...printing(outputs), ...PRIVATE });
  const names = [
    'allow from 10.42.0.0/16',
    'allow from 10.43.0.0/16',
    'allow from 10.0.0.0/24 to any port 6443 proto tcp',
    'allow from 10.0.0.0/24 to any port 10250 proto tcp',
    'allow from 10.0.0.0/24 to any port 8472 proto udp',
  ];
  expect(found).toMatchObject({
    hint: 'Let that pass, or have it done (sudo pipeops-agent doctor --fix, or --open-firewall of install and join)',
    fix: names.map((name) => `sudo ufw ${name}`).join('\n'),
    rules: names.map((name) => ({ kind: 'ufw-rule', name })),
  });
});

test('what ufw shows of applications, addresses, links and IPv6 is understood', async () => {
  const status = `${UFW_OPEN.slice(0, UFW_OPEN.indexOf('22/tcp'))}\
6443,10250/tcp (k3s server) ALLOW IN    Anywhere
10.0.0.5 8472/udp          ALLOW IN    10.0.0.0/24 5000/udp
Anywhere on cni0           ALLOW IN    Anywhere
2379/tcp                   ALLOW OUT   Anywhere
`;
  expect(await outcomeOf(firewallOpen, printing({ 'ufw status verbose': status }))).toEqual({
    state: 'ok',
  });
  await machine.put('/etc/rancher/k3s/config.yaml', 'cluster-cidr: 10.42.0.0/16,fd42::/56\n');
  const both = `${UFW_OPEN}Anywhere (v6)              ALLOW IN    fd42::/56\n`;
  expect(await outcomeOf(firewallOpen, printing({ 'ufw status verbose': both }))).toEqual({
    state: 'ok',
  });
});

test('of ufw the first rule that fits decides, so what is denied before it is let in is closed', async () => {
  const refused = (rows: readonly string[], ...order: readonly [RegExp, string][]) =>
    findingOf(
      firewallOpen,
      printing({
        'ufw status verbose': order.reduce(
          (status, [from, to]) => status.replace(from, to),
          UFW_OPEN.replace('22/tcp  ', `${rows.join('\n')}\n22/tcp  `),
        ),
        ...routes,
      }),
    );
  expect(
    await refused([
      '6443/tcp                   DENY        Anywhere',
      '10000:11000/tcp            REJECT IN   Anywhere                   # no',
      'Anywhere                   DENY IN     10.43.7.0/24',
    ]),
  ).toMatchObject({
    message: 'ufw keeps out 6443/tcp (the API), 10250/tcp (the kubelet), packets from 10.43.0.0/16',
    fix: [
      'sudo ufw prepend allow from 10.43.0.0/16',
      'sudo ufw prepend allow 6443/tcp',
      'sudo ufw prepend allow 10250/tcp',
    ].join('\n'),
    rules: [],
  });
  // Those keep out something else, or come too late.
  expect(
    await refused(
      [
        '6443/tcp                   DENY        203.0.113.7',
        '6443/tcp                   DENY        Anywhere 5000/tcp',
        '10.0.0.5 6443/tcp          DENY        Anywhere',
        '6443/tcp on eth1           DENY        Anywhere',
        '6443/tcp (v6)              DENY        Anywhere (v6)',
        '6443/udp                   DENY        Anywhere',
        '6443/tcp                   DENY OUT    Anywhere',
      ],
      [/$/, 'Anywhere                   DENY        Anywhere\n'],
    ),
  ).toBeUndefined();
});

test('ufw that lets all in but what it denies; in a private network the lines are for that', async () => {
  const status = `${UFW_ALLOWING}
To                         Action      From
--                         ------      ----
10250/tcp                  DENY        10.0.0.0/8
Anywhere on cni0           DENY        Anywhere
`;
  const outputs = { 'ufw status verbose': status, ...routes };
  expect(await findingOf(firewallOpen, { ...printing(outputs), ...PRIVATE })).toMatchObject({
    message: 'ufw keeps out 10250/tcp (the kubelet)',
    hint: 'Let that pass (the ports only from the other nodes, where it is a public network)',
    fix: 'sudo ufw prepend allow from 10.0.0.0/24 to any port 10250 proto tcp',
    rules: [],
  });
  expect(await outcomeOf(firewallOpen, printing(outputs))).toEqual({ state: 'ok' });
});

/** What firewalld prints of its zones, each with what is not empty in it. */
function firewalld(zones: Readonly<Record<string, readonly string[]>>) {
  const usual = ['target: default', 'interfaces: ', 'sources: ', 'services: ssh', 'ports: '];
  const blocks = Object.entries(zones).map(([name, special]) => {
    const keys = special.map((line) => line.split(':')[0]);
    const lines = usual.filter((line) => !keys.includes(line.split(':')[0]));
    return [name, ...[...lines, ...special].map((line) => `  ${line}`), ''].join('\n');
  });
  return {
    'firewall-cmd --list-all-zones': `${blocks.join('\n')}\n`,
    'firewall-cmd --get-default-zone': 'public\n',
    ...routes,
  };
}
const TRUSTED = { trusted: ['target: ACCEPT', 'sources: 10.42.0.0/16 10.43.0.0/16'] };

test('firewalld has its own commands, in the zone of the link by which nodes come', async () => {
  const found = (zones: Readonly<Record<string, readonly string[]>>, special = {}) =>
    findingOf(firewallOpen, { ...printing(firewalld(zones)), ...special });
  const ports = 'ports: 6443/tcp 10200-10300/tcp';
  const trusted = { trusted: ['target: ACCEPT', 'sources: 10.42.0.0/16'] };
  expect(await found({ 'public (active)': [ports], ...trusted })).toMatchObject({
    message:
      'firewalld (zone public) keeps out 8472/udp (pods of other nodes), packets from 10.43.0.0/16',
    fix: [
      'sudo firewall-cmd --permanent --zone=trusted --add-source=10.43.0.0/16',
      'sudo firewall-cmd --reload',
      'sudo firewall-cmd --permanent --zone=public --add-port=8472/udp',
      'sudo firewall-cmd --reload',
    ].join('\n'),
    rules: [{ kind: 'firewalld-rule', name: 'zone=trusted source=10.43.0.0/16' }],
  });
  const inside = { 'internal (active)': ['interfaces: eth0', 'services: kubelet'] };
  expect(
    await found({ 'public (default)': [ports], ...inside, ...TRUSTED }, PRIVATE),
  ).toMatchObject({
    message:
      'firewalld (zone internal) keeps out 6443/tcp (the API), 10250/tcp (the kubelet), 8472/udp (pods of other nodes)',
    fix: expect.stringContaining(
      `--zone=internal --add-rich-rule='rule family="ipv4" source address="10.0.0.0/24" port port="8472" protocol="udp" accept'\n`,
    ),
  });
});

test('of firewalld services, sources, rich rules and links of pods count as well', async () => {
  const state = (zones: Readonly<Record<string, readonly string[]>>) =>
    outcomeOf(firewallOpen, { ...printing(firewalld(zones)), ...PRIVATE });
  const service = (inner: string) => `<?xml version="1.0"?>\n<service>${inner}</service>\n`;
  await machine.put(
    '/usr/lib/firewalld/services/node.xml',
    service('<include service="kubelet"/><port protocol="udp" port="8472"/>'),
  );
  await machine.put(
    '/usr/lib/firewalld/services/kubelet.xml',
    service('<port protocol="tcp" port="10250"/>'),
  );
  await machine.put(
    '/etc/firewalld/services/kube-apiserver.xml',
    service('<port port="6443" protocol="tcp" />'),
  );
  const services = 'services: ssh node kube-apiserver';
  expect(await state({ public: [services], ...TRUSTED })).toEqual({ state: 'ok' });
  const bySource = { nodes: ['sources: 10.0.0.0/24', services] };
  expect(await state({ public: [], ...bySource, ...TRUSTED })).toEqual({ state: 'ok' });
  const rich = [
    'rich rules: ',
    '\trule family="ipv4" source address="10.0.0.0/24" port port="6443" protocol="tcp" accept',
    '\trule family="ipv4" source address="10.0.0.0/24" service name="node" accept',
  ];
  const pods = { trusted: ['target: ACCEPT', 'interfaces: cni0 flannel.1'] };
  expect(await state({ public: rich, ...pods })).toEqual({ state: 'ok' });
  const refusing = ['rich rules: ', '\trule service name="kube-apiserver" reject'];
  expect(await state({ public: [...refusing, 'services: node'], ...TRUSTED })).toMatchObject({
    finding: { message: 'firewalld (zone public) keeps out 6443/tcp (the API)' },
  });
  expect(await state({ public: ['target: ACCEPT'] })).toEqual({ state: 'ok' });
});

test('a rich rule of firewalld for all but a source is not for that source', async () => {
  const found = (rules: readonly string[]) =>
    findingOf(firewallOpen, {
      ...printing(firewalld({ public: ['rich rules: ', ...rules.map((rule) => `\t${rule}`)] })),
      ...PRIVATE,
    });
  const port = (source: string) =>
    `rule family="ipv4" ${source} port port="6000-11000" protocol="tcp" accept`;
  const pods = 'packets from 10.42.0.0/16, packets from 10.43.0.0/16';
  const closed = (what: string) => `firewalld (zone public) keeps out ${what}`;
  expect((await found([port('source NOT address="10.0.0.0/16"')]))?.message).toBe(
    closed(`6443/tcp (the API), 10250/tcp (the kubelet), 8472/udp (pods of other nodes), ${pods}`),
  );
  expect((await found([port('source NOT address="10.42.0.0/16"')]))?.message).toBe(
    closed(`8472/udp (pods of other nodes), ${pods}`),
  );
  const all = (source: string) => [`rule family="ipv4" ${source} accept`];
  expect((await found(all('source NOT address="10.42.0.0/16"')))?.message).toBe(
    closed('packets from 10.42.0.0/16'),
  );
  // Who is in a set is not known: other nodes may be, networks of pods are not taken to be.
  expect((await found(all('source ipset="nodes"')))?.message).toBe(closed(pods));
  expect(await found(all('source NOT address="192.0.2.0/24"'))).toBeUndefined();
});

test('a rich rule of firewalld that keeps out comes before what lets in, unless told otherwise', async () => {
  const found = (rule: string, special: Partial<FactDeps> = PRIVATE) =>
    findingOf(firewallOpen, {
      ...printing(
        firewalld({
          public: ['ports: 6443/tcp 10250/tcp 8472/udp', 'rich rules: ', `\t${rule}`],
          ...TRUSTED,
        }),
      ),
      ...special,
    });
  const message = 'firewalld (zone public) keeps out 10250/tcp (the kubelet)';
  const drop = 'port port="10250" protocol="tcp" drop';
  const lines = (rich: string) =>
    `sudo firewall-cmd --permanent --zone=public --add-rich-rule='rule priority="-1" ${rich} accept'\nsudo firewall-cmd --reload`;
  expect(await found(`rule ${drop}`)).toMatchObject({
    message,
    fix: lines('family="ipv4" source address="10.0.0.0/24" port port="10250" protocol="tcp"'),
    rules: [],
  });
  expect(await found(`rule ${drop}`, {})).toMatchObject({
    message,
    fix: lines('port port="10250" protocol="tcp"'),
    rules: [],
  });
  expect((await found('rule priority="-5" reject'))?.message).toContain('6443/tcp');
  expect(await found('rule priority="5" reject')).toBeUndefined();
  expect(await found(`rule source address="203.0.113.0/24" ${drop}`)).toBeUndefined();
  expect(await found(`rule destination address="192.0.2.1" ${drop}`)).toBeUndefined();
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

test('a chain of iptables is told as people know it', async () => {
  const iptables = { family: 'ip', table: 'filter', policy: 'drop' };
  const input = nft({ ...iptables, name: 'INPUT', hook: 'input' }, USUAL);
  expect((await findingOf(firewallOpen, printing(input)))?.fix).toBe(
    'sudo iptables -I INPUT -p tcp --dport 10250 -j ACCEPT\n' +
      'sudo iptables -I INPUT -p udp --dport 8472 -j ACCEPT',
  );
  const forward = nft({ ...iptables, name: 'FORWARD', hook: 'forward' }, USUAL);
  expect((await findingOf(firewallOpen, printing(forward)))?.fix).toBe(
    'sudo iptables -I FORWARD -s 10.42.0.0/16 -j ACCEPT\n' +
      'sudo iptables -I FORWARD -d 10.42.0.0/16 -j ACCEPT',
  );
});

test('without root nothing is said of firewalls', async () => {
  expect(await outcomeOf(firewallOpen, { ...printing({}), uid: 1000 })).toEqual({
    state: 'not-checked',
    because: 'The rules of firewalls cannot be read; root may',
  });
});

test('a tool that hangs is not one that is not there', async () => {
  const exec: FactDeps['exec'] = {
    run: async ([program]) => {
      const code = program === 'firewall-cmd' ? 'TIMEOUT' : 'TOOL_MISSING';
      throw new AgentError(code, `"${program}" does not answer`, { hint: 'Look' });
    },
  };
  expect(await outcomeOf(firewallOpen, { ...printing({}), exec })).toEqual({
    state: 'not-checked',
    because: 'it takes longer than 2.5 s here',
  });
});
