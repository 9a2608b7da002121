import { describe, expect, test } from 'bun:test';
import { type ConfigInputs, type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import type { AgentError } from '../../src/core/errors.ts';
import { failureOf } from '../support/failure-of.ts';

const DEFAULTS: LoadedConfig['config'] = {
  agent: { role: 'server', id: '', labels: {} },
  cluster: { name: 'node-1' },
  control_plane: {
    url: 'https://api.pipeops.io',
    transport: 'auto',
    allow_insecure: false,
    heartbeat_interval: '30s',
    status_interval: '60s',
    poll_interval: '5s',
  },
  http: { port: 8080, tls_port: 8443, cors_origins: [] },
  k3s: {
    proxy: 'containerd',
    registry_mirrors: [],
    embedded_registry: false,
    profile: 'standard',
    traefik: false,
    ha: false,
    cluster_cidr: [],
    service_cidr: [],
    tls_san: [],
    node_labels: [],
    node_taints: [],
    node_ip: [],
  },
  facts: { metadata: true },
  snapshots: { every: '1d', keep: 7, keep_for: '30d', s3_region: 'us-east-1' },
  log: { level: 'info', format: 'text' },
  metrics: {},
  debug: { profiling: false },
  traces: { request_percent: 1 },
};

const ALL_DEFAULT: LoadedConfig['sources'] = {
  'agent.role': 'default',
  'agent.id': 'default',
  'agent.labels': 'default',
  'agent.base_url': 'default',
  'cluster.name': 'default',
  'control_plane.url': 'default',
  'control_plane.transport': 'default',
  'control_plane.proxy': 'default',
  'control_plane.no_proxy': 'default',
  'control_plane.ca_file': 'default',
  'control_plane.allow_insecure': 'default',
  'control_plane.gateway_hosts': 'default',
  'control_plane.heartbeat_interval': 'default',
  'control_plane.status_interval': 'default',
  'control_plane.poll_interval': 'default',
  'http.cors_origins': 'default',
  'http.port': 'default',
  'http.tls_port': 'default',
  'k3s.version': 'default',
  'k3s.mirror': 'default',
  'k3s.proxy': 'default',
  'k3s.registry_mirrors': 'default',
  'k3s.embedded_registry': 'default',
  'k3s.profile': 'default',
  'k3s.traefik': 'default',
  'k3s.ha': 'default',
  'k3s.cluster_cidr': 'default',
  'k3s.service_cidr': 'default',
  'k3s.tls_san': 'default',
  'k3s.server_address': 'default',
  'k3s.node_name': 'default',
  'k3s.node_labels': 'default',
  'k3s.node_taints': 'default',
  'k3s.node_ip': 'default',
  'facts.metadata': 'default',
  'snapshots.every': 'default',
  'snapshots.keep': 'default',
  'snapshots.keep_for': 'default',
  'snapshots.copy_to': 'default',
  'snapshots.s3_endpoint': 'default',
  'snapshots.s3_bucket': 'default',
  'snapshots.s3_region': 'default',
  'snapshots.s3_credentials_file': 'default',
  'log.level': 'default',
  'log.format': 'default',
  'metrics.listen': 'default',
  'metrics.client_ca_file': 'default',
  'debug.profiling': 'default',
  'traces.endpoint': 'default',
  'traces.headers_file': 'default',
  'traces.request_percent': 'default',
};

function load(inputs: Partial<ConfigInputs>): LoadedConfig {
  return loadConfig({
    flags: {},
    env: {},
    fileText: undefined,
    filePath: '/etc/pipeops-agent/config.yaml',
    hostname: 'node-1',
    ...inputs,
  });
}

function loadFailure(inputs: Partial<ConfigInputs>): Promise<AgentError> {
  return failureOf(() => load(inputs));
}

/** What is said of a key that nearly names a setting that protects. */
function refusedKey(line: number, key: string, meant: string): string {
  return (
    `line ${line}: ${key}: is not a setting, did you mean "${meant}"? ` +
    'That one protects this machine, and is not set'
  );
}

/** What loadConfig() says is wrong. */
async function problemsOf(inputs: Partial<ConfigInputs>): Promise<unknown> {
  return (await loadFailure(inputs)).details?.['problems'];
}

describe('loadConfig()', () => {
  test.each([
    ['there is no file', undefined],
    ['the file is empty', ' \n'],
    ['the file holds only comments', '# http:\n#   port: 1\n'],
    ['the file holds only empty sections', 'agent:\nhttp:\nlog: {}\n'],
  ])('gives the defaults when %s', (_, fileText) => {
    expect(load({ fileText })).toEqual({ config: DEFAULTS, sources: ALL_DEFAULT, warnings: [] });
  });

  test('takes flags over environment over file over defaults and says where each came from', () => {
    const loaded = load({
      flags: { 'api-url': 'https://flag.example', traefik: true },
      env: {
        PIPEOPS_API_URL: 'https://env.example',
        CLUSTER_NAME: 'from-env',
        PIPEOPS_PORT: '9090',
        HOME: '/root',
      },
      fileText: [
        'control_plane:',
        '  url: https://file.example',
        '  poll_interval: 1s',
        'cluster:',
        '  name: from-file',
        'agent:',
        '  role: node',
        '  labels: {zone: a}',
      ].join('\n'),
    });

    expect(loaded).toEqual({
      config: {
        ...DEFAULTS,
        agent: { role: 'node', id: '', labels: { zone: 'a' } },
        cluster: { name: 'from-env' },
        control_plane: {
          ...DEFAULTS.control_plane,
          url: 'https://flag.example',
          poll_interval: '1s',
        },
        http: { port: 9090, tls_port: 8443, cors_origins: [] },
        k3s: { ...DEFAULTS.k3s, traefik: true },
      },
      sources: {
        ...ALL_DEFAULT,
        'agent.role': 'file',
        'agent.labels': 'file',
        'cluster.name': 'env',
        'control_plane.url': 'flag',
        'control_plane.poll_interval': 'file',
        'http.port': 'env',
        'k3s.traefik': 'flag',
      },
      warnings: [],
    });
  });

  test('takes an empty variable as one that is not set', () => {
    expect(load({ env: { LOG_LEVEL: '', PIPEOPS_PORT: '' } })).toEqual({
      config: DEFAULTS,
      sources: ALL_DEFAULT,
      warnings: [],
    });
  });

  test.each([
    ['true', true],
    ['false', false],
  ])('reads the text "%s" of a flag as a boolean', (text, value) => {
    expect(load({ flags: { traefik: text } }).config.k3s.traefik).toBe(value);
  });

  test('freezes what it gives, to the last map', () => {
    const { config } = load({ fileText: 'agent: {labels: {zone: a}}' });
    expect([config, ...Object.values(config), config.agent.labels].every(Object.isFrozen)).toBe(
      true,
    );
  });

  test('lists all mistakes of a file at once, each with what was meant where that is near', async () => {
    const fileText = [
      'control_plan:',
      '  url: https://cp.example',
      'http:',
      '  prot: 3',
      'log:',
      '  level: verbose',
      '  formt: json',
      'agent:',
      '  id: "two words"',
      'zebra: 1',
    ].join('\n');
    const problems = [
      refusedKey(1, 'control_plan', 'control_plane.url'),
      'agent.id: must be at most 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
      'log.level: must be one of error, warn, info, debug',
    ];
    const warnings = [
      'line 4: http.prot: is not a setting and is ignored, did you mean "http.port"?',
      'line 7: log.formt: is not a setting and is ignored, did you mean "log.format"?',
      'line 10: zebra: is not a setting and is ignored',
    ];

    const error = await loadFailure({ fileText });
    const listed = (lines: readonly string[]) => lines.map((each) => `  - ${each}`).join('\n');
    expect({
      code: error.code,
      message: error.message,
      hint: error.hint,
      details: error.details,
    }).toEqual({
      code: 'CONFIG_INVALID',
      message: `The configuration has 3 problems:\n${listed(problems)}\nAnd keys that are not known here:\n${listed(warnings)}`,
      hint: 'Correct /etc/pipeops-agent/config.yaml (or the flag or variable), then check: pipeops-agent config validate',
      details: { problems, warnings },
    });
  });

  test.each([
    [
      'a mistake in a key',
      'http: {port: 9090, prot: 1}\nlog:\n  level: debug\n  levl: info\n',
      [
        'line 1: http.prot: is not a setting and is ignored, did you mean "http.port"?',
        'line 4: log.levl: is not a setting and is ignored, did you mean "log.level"?',
      ],
    ],
    [
      'a secret in the place of a key',
      'http: {port: 9090}\nlog: {level: debug}\n"https://user:hunter2secret@x": 3\n',
      ['line 3: https://user:[redacted]@x: is not a setting and is ignored'],
    ],
    [
      'what a newer version has brought, of any shape',
      'telemetry: {endpoint: "https://t.example", rate: [1, 2]}\nhttp: {port: 9090}\nlog: {level: debug, sinks: {a: 1}}\nmood:\nlist: [a]\n',
      [
        'line 1: telemetry: is not a setting and is ignored',
        'line 3: log.sinks: is not a setting and is ignored',
        'line 4: mood: is not a setting and is ignored',
        'line 5: list: is not a setting and is ignored',
      ],
    ],
    [
      'names that mean something to JavaScript',
      '__proto__: {port: 1}\nhttp: {port: 9090, __proto__: 2, constructor: 3}\nlog: {level: debug}\n',
      [
        'line 2: http.__proto__: is not a setting and is ignored',
        'line 2: http.constructor: is not a setting and is ignored',
        'line 1: __proto__: is not a setting and is ignored',
      ],
    ],
  ])('takes a file with %s, and says which lines are ignored', (_, fileText, warnings) => {
    const loaded = load({ fileText });
    expect({ ...loaded, warnings: loaded.warnings.toSorted() }).toEqual({
      config: {
        ...DEFAULTS,
        http: { ...DEFAULTS.http, port: 9090 },
        log: { ...DEFAULTS.log, level: 'debug' },
      },
      sources: { ...ALL_DEFAULT, 'http.port': 'file', 'log.level': 'file' },
      warnings: warnings.toSorted(),
    });
  });

  test.each([
    [
      'control_plane:\n  gatway_hosts: [a.example]',
      2,
      'control_plane.gatway_hosts',
      'gateway_hosts',
    ],
    [
      'control_plane:\n  gateway-hosts: [a.example]',
      2,
      'control_plane.gateway-hosts',
      'gateway_hosts',
    ],
    ['control_plane:\n  Url: https://cp.example', 2, 'control_plane.Url', 'url'],
    ['control_plane: {urls: [https://cp.example]}', 1, 'control_plane.urls', 'url'],
    [
      'control_plane:\n  url: https://cp.example\n  cafile: /a',
      3,
      'control_plane.cafile',
      'ca_file',
    ],
    ['log: {}\ncontrolplane: {gateway_hosts: []}', 2, 'controlplane', 'gateway_hosts'],
    ['control-plane: {urll: https://cp.example}', 1, 'control-plane', 'url'],
    ['control_plane:\ngateway_hosts: [a.example]', 2, 'gateway_hosts', 'gateway_hosts'],
  ])(
    'refuses a mistake in the name of a setting that protects: %j',
    async (fileText, line, key, meant) => {
      expect(await problemsOf({ fileText })).toEqual([
        refusedKey(line, key, `control_plane.${meant}`),
      ]);
    },
  );

  test.each([
    ['control_plane: {url: https://cp.example, urls: [https://cp.example]}', {}],
    ['control_plane: {urls: [https://cp.example]}', { 'api-url': 'https://cp.example' }],
    ['control_plane: {gateway: a, ttl: 3s, url_prefix: /a, hosts: [a], ca: a}', {}],
    ['control_planes: [a]\nplane: {url: a}\ntelemetry: {url: a, ca_file: b}', {}],
  ])('takes what may be a setting of a newer version beside or instead: %j', (fileText, flags) => {
    expect(load({ fileText, flags }).warnings).not.toEqual([]);
  });

  test('tells the first of very many keys that it does not know', () => {
    const keys = Array.from({ length: 1_000 }, (_, index) => `  new_${index}: 1\n`).join('');
    const { warnings } = load({ fileText: `http:\n${keys}` });
    expect([warnings.length, warnings[19], warnings[20]]).toEqual([
      ...[21, 'line 21: http.new_19: is not a setting and is ignored'],
      'and 980 more of the kind',
    ]);
  });

  test('counts a single mistake in words', async () => {
    expect((await loadFailure({ fileText: 'k3s: {version: stable}' })).message).toBe(
      'The configuration has one problem:\n  - k3s.version: must be a k3s version such as v1.36.3+k3s1',
    );
  });

  test('finds what stands twice, besides everything else', async () => {
    const fileText = 'http:\n  port: 9090\n  port: 9091\nlog: {level: loud}\nhttp:\n  port: 1\n';
    expect(await problemsOf({ fileText })).toEqual([
      'line 3: http.port stands there twice',
      'line 5: http stands there twice',
      'log.level: must be one of error, warn, info, debug',
    ]);
  });

  test.each([
    [
      'http: {port: 9090, tls_port: 9090}',
      'http.tls_port: must be another port than http.port, 9090',
    ],
    ['http: {port: 6443}', 'http.port: 6443 is a port of k3s itself'],
    ['http: {tls_port: 10250}', 'http.tls_port: 10250 is a port of k3s itself'],
    [
      'control_plane: {url: "https://user:secret@cp.test"}',
      'control_plane.url: must be an address without user, password, "?" and "#"',
    ],
    [
      'control_plane: {proxy: "http://proxy:99999"}',
      'control_plane.proxy: is not the address of a proxy',
    ],
  ])('finds what no setting says alone: %s', async (fileText, problem) => {
    expect(await problemsOf({ fileText })).toEqual([problem]);
  });

  test('lets the system choose both ports', () => {
    expect(load({ fileText: 'http: {port: 0, tls_port: 0}' }).config.http.port).toBe(0);
  });

  test.each([
    ['web-1.example.com', 'web-1.example.com'],
    ['_Web 1.', 'Web-1'],
    ['', 'cluster'],
    ['...', 'cluster'],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
  ])('the cluster of a machine "%s" is "%s" when nobody names it', (hostname, name) => {
    const { config, sources } = load({ hostname });
    expect([config.cluster.name, sources['cluster.name']]).toEqual([name, 'default']);
    expect(load({ hostname, fileText: `cluster: {name: ${name}}` }).config.cluster.name).toBe(name);
  });

  test('finds mistakes of flags and variables too', async () => {
    expect(
      await problemsOf({
        flags: { 'ca-file': 'ca.pem', 'allow-insecure': 'yes' },
        env: { PIPEOPS_PORT: '65536', LOG_LEVEL: 'loud' },
      }),
    ).toEqual([
      'control_plane.ca_file: must be an absolute path',
      'control_plane.allow_insecure: must be true or false',
      'http.port: must be at most 65535',
      'log.level: must be one of error, warn, info, debug',
    ]);
  });

  test('says of each kind of value what it must be, in words of its own', async () => {
    const fileText =
      'http: {port: abc, tls_port: -1}\nagent: {labels: [a]}\ncontrol_plane: {no_proxy: 4}\n' +
      'k3s: {node_labels: "a=b", traefik: 1}\n';
    expect(await problemsOf({ fileText })).toEqual([
      'agent.labels: must be names with values',
      'control_plane.no_proxy: must be text',
      'http.port: must be a whole number',
      'http.tls_port: must be at least 0',
      'k3s.traefik: must be true or false',
      'k3s.node_labels: must be a list',
    ]);
  });

  test.each(['http: 5', 'http: []', 'http: text'])(
    'says that a section is one even when a flag goes into it: %s',
    async (fileText) => {
      expect(await problemsOf({ fileText, flags: { port: '80' } })).toEqual([
        'http: must be names with values',
      ]);
    },
  );

  test.each(['- control_plane', 'only text', '42', 'agent: {}\n---\nhttp: {}'])(
    'refuses a file that holds no sections: %j',
    async (fileText) => {
      expect(await problemsOf({ fileText })).toEqual([
        'the file must hold sections such as "control_plane:"',
      ]);
    },
  );

  test.each(['log: {level: [', 'log:\n\tlevel: info', 'log: "info'])(
    'names the file and what to look at when it is not YAML: %j',
    async (fileText) => {
      const error = await loadFailure({ fileText, filePath: '/tmp/mine.yaml' });
      expect({ code: error.code, message: error.message, hint: error.hint }).toEqual({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/^Cannot read \/tmp\/mine\.yaml: YAML Parse error: \w+/),
        hint: 'Correct the YAML syntax: indent with spaces, close each quote and bracket',
      });
    },
  );
});

describe('loadConfig() and the address of the control plane', () => {
  const INSECURE =
    'control_plane.url: must be https://, or set control_plane.allow_insecure (--allow-insecure)';

  test('refuses http:// to another machine', async () => {
    expect(await problemsOf({ flags: { 'api-url': 'http://cp.example' } })).toEqual([INSECURE]);
  });

  test.each([
    'http://localhost.example',
    'http://127.0.0.1.example',
    'http://localhost@cp.example',
  ])('is not taken in by %s', async (url) => {
    expect(await problemsOf({ flags: { 'api-url': url } })).toContain(INSECURE);
  });

  test('refuses k3s from a mirror of another machine over http:// in the same way', async () => {
    const mirror = (url: string) => ({ flags: { 'k3s-mirror': url } });
    expect(await problemsOf(mirror('http://mirror.example'))).toEqual([
      INSECURE.replace('control_plane.url', 'k3s.mirror'),
    ]);
    const allowed = { 'k3s-mirror': 'http://mirror.example', 'allow-insecure': true };
    expect(load({ flags: allowed }).config.k3s.mirror).toBe('http://mirror.example');
    expect(load(mirror('http://127.0.0.1:1')).config.k3s.mirror).toBe('http://127.0.0.1:1');
  });

  test('takes http:// to another machine when that is allowed', () => {
    const { config } = load({ flags: { 'api-url': 'http://cp.example', 'allow-insecure': true } });
    expect(config.control_plane.url).toBe('http://cp.example');
  });

  test.each(['http://localhost:1', 'http://127.0.0.1:1', 'http://[::1]:1', 'https://cp.example'])(
    'takes %s',
    (url) => {
      expect(load({ flags: { 'api-url': url } }).config.control_plane.url).toBe(url);
    },
  );

  test.each(['cp.example', 'ftp://cp.example', 'https://', 'file:///etc/passwd'])(
    'refuses %s',
    async (url) => {
      expect(await problemsOf({ flags: { 'api-url': url } })).toEqual([
        'control_plane.url: must be an https:// address',
      ]);
    },
  );
});

test('the proxy of the environment becomes a setting, its user and password do not', () => {
  const proxyOf = (env: Record<string, string>) => {
    const { control_plane } = loadConfig({
      flags: {},
      env,
      fileText: undefined,
      filePath: '/c',
      hostname: 'node-1',
    }).config;
    return [control_plane.proxy, control_plane.no_proxy];
  };
  expect(proxyOf({ HTTPS_PROXY: 'http://u:p%40ss@proxy.test:3128', no_proxy: '.test' })).toEqual([
    'http://proxy.test:3128',
    '.test',
  ]);
  expect(proxyOf({ https_proxy: 'u:p@proxy.test' })).toEqual(['proxy.test', undefined]);
  expect(proxyOf({ HTTPS_PROXY: '' })).toEqual([undefined, undefined]);
});

test('the hosts that may be a gateway are names, addresses and domains, and nothing that looks like more', async () => {
  const hosts = (list: readonly string[]) => ({
    fileText: `control_plane: { gateway_hosts: ${JSON.stringify(list)} }`,
  });
  const good = ['gw.example', '*.edge.example', '203.0.113.7', '[2001:db8::7]'];
  expect(load(hosts(good)).config.control_plane.gateway_hosts).toEqual(good);
  for (const bad of [
    '',
    '*',
    '*.',
    'wss://gw.example',
    'gw.example:443',
    'gw.*',
    'a b',
    'gw.example/',
  ]) {
    const { code, message } = await loadFailure(hosts([bad]));
    expect([bad, code, message]).toEqual([
      ...[bad, 'CONFIG_INVALID', expect.stringContaining('control_plane.gateway_hosts')],
    ]);
  }
});

test('the origins whose pages may ask are exact ones', async () => {
  const origins = (list: readonly string[]) => ({
    fileText: `http: { cors_origins: ${JSON.stringify(list)} }`,
  });
  const good = ['https://ops.example.com', 'http://localhost:5173', 'http://[::1]:8000'];
  expect(load(origins(good)).config.http.cors_origins).toEqual(good);
  for (const bad of [
    '*',
    'null',
    'https://*.example.com/',
    'https://a.example/',
    'a.example',
    'https://A.example',
    'ftp://a.example',
    'https://a.example:443',
  ]) {
    const { code, message } = await loadFailure(origins([bad]));
    expect([bad, code, message]).toEqual([
      ...[bad, 'CONFIG_INVALID', expect.stringContaining('http.cors_origins')],
    ]);
  }
});
