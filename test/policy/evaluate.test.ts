import { describe, expect, test } from 'bun:test';
import type { AccessRequest, PolicyDecision } from '../../src/policy/decision.ts';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';

const policy = (yaml: string) => policyOf(effectivePolicy(parsePolicyFile(yaml, 'policy.yaml')));
const READ_ONLY = policy('preset: read-only');
const STANDARD = policy('');
const OPERATE = policy('preset: operate');

const ruleOf = (decision: PolicyDecision) => (decision.allowed ? 'allowed' : decision.rule);
const access = (changes: Partial<AccessRequest>): AccessRequest => ({
  verb: 'get',
  group: '',
  resource: 'pods',
  subresource: '',
  namespace: 'shop',
  name: 'web',
  ...changes,
});

describe('commands', () => {
  test('each preset allows its own, and a refusal names the rule', () => {
    const rules = (type: string, namespace = 'shop') =>
      [READ_ONLY, STANDARD, OPERATE].map((each) => ruleOf(each.command({ type, namespace })));
    expect(rules('logs')).toEqual(['allowed', 'allowed', 'allowed']);
    expect(rules('deploy')).toEqual(['read-only/commands', 'allowed', 'allowed']);
    expect(rules('exec')).toEqual(['read-only/exec', 'standard/exec', 'allowed']);
    expect(rules('format_disk')).toEqual([
      'read-only/commands',
      'standard/commands',
      'operate/commands',
    ]);
  });

  test('protected namespaces are looked at and never changed', () => {
    for (const namespace of ['kube-system', 'kube-public', 'kube-x', 'pipeops-system']) {
      expect(ruleOf(OPERATE.command({ type: 'deploy', namespace }))).toBe(
        'operate/protected-namespaces',
      );
      expect(ruleOf(OPERATE.command({ type: 'exec', namespace }))).toBe(
        'operate/protected-namespaces',
      );
      expect(ruleOf(STANDARD.command({ type: 'logs', namespace }))).toBe('allowed');
    }
    expect(ruleOf(STANDARD.command({ type: 'deploy', namespace: 'my-kube-system' }))).toBe(
      'allowed',
    );
  });

  test('the file narrows commands and namespaces', () => {
    const narrow = policy(
      'commands: {allow: [deploy, logs, get_resources, drain], deny: [drain]}\n' +
        'namespaces: {allow: ["shop*"], deny: [shop-secret]}',
    );
    const rule = (type: string, namespace?: string) =>
      ruleOf(narrow.command(namespace === undefined ? { type } : { type, namespace }));
    expect(rule('deploy', 'shop-1')).toBe('allowed');
    expect(rule('deploy', 'bank')).toBe('file/namespaces.allow');
    expect(rule('deploy', 'shop-secret')).toBe('file/namespaces.deny[0]');
    expect(rule('scale', 'shop')).toBe('file/commands.allow');
    expect(rule('drain')).toBe('file/commands.deny[0]');
    expect(rule('get_resources')).toBe('file/namespaces.allow');
  });
});

describe('access', () => {
  test('standard writes Secrets and never reads them, operate reads them outside kube-*', () => {
    const secrets = (verb: string, namespace = 'shop') =>
      access({ resource: 'secrets', verb, namespace });
    expect(ruleOf(STANDARD.access(secrets('create')))).toBe('allowed');
    for (const verb of ['get', 'list', 'watch']) {
      expect(ruleOf(STANDARD.access(secrets(verb)))).toBe('standard/secrets.read');
      expect(ruleOf(OPERATE.access(secrets(verb)))).toBe('allowed');
      expect(ruleOf(OPERATE.access(secrets(verb, 'kube-system')))).toBe(
        'operate/protected-namespaces',
      );
    }
    // Its answer would hold those of kube-system too.
    expect(ruleOf(OPERATE.access(secrets('list', '')))).toBe('operate/protected-namespaces');
    // A patch answers the whole object.
    expect(ruleOf(STANDARD.access(secrets('patch')))).not.toBe('allowed');
  });

  test('no preset gives what would give more', () => {
    const escalations: Partial<AccessRequest>[] = [
      { resource: 'nodes', subresource: 'proxy', verb: 'get', namespace: '' },
      { resource: 'serviceaccounts', subresource: 'token', verb: 'create' },
      { resource: 'pods', subresource: 'ephemeralcontainers', verb: 'patch' },
      { resource: 'serviceaccounts', verb: 'impersonate' },
      { resource: 'users', verb: 'impersonate', namespace: '' },
      ...['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'].flatMap((resource) =>
        ['create', 'bind', 'escalate', 'patch'].map((verb) => ({
          group: 'rbac.authorization.k8s.io',
          resource,
          verb,
        })),
      ),
      ...['validatingwebhookconfigurations', 'validatingadmissionpolicies'].map((resource) => ({
        group: 'admissionregistration.k8s.io',
        resource,
        verb: 'delete',
        namespace: '',
      })),
      { group: 'apiregistration.k8s.io', resource: 'apiservices', verb: 'create', namespace: '' },
      { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', verb: 'create' },
      { group: 'helm.cattle.io', resource: 'helmcharts', verb: 'create' },
      { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions', verb: 'create' },
      { resource: 'persistentvolumes', verb: 'create', namespace: '' },
      { resource: 'endpoints', verb: 'update' },
      { resource: 'namespaces', verb: 'patch', namespace: '', name: 'kube-system' },
      { resource: 'pods', verb: 'deletecollection' },
    ];
    for (const each of escalations) {
      expect([each, ruleOf(OPERATE.access(access(each)))]).not.toEqual([each, 'allowed']);
    }
  });

  test('exec, attach, port-forward and the proxies of pods follow their switches', () => {
    const rule = (changes: Partial<AccessRequest>) => ruleOf(STANDARD.access(access(changes)));
    expect(rule({ subresource: 'exec', verb: 'create' })).toBe('standard/exec');
    expect(rule({ subresource: 'attach', verb: 'create' })).toBe('standard/attach');
    expect(rule({ subresource: 'portforward', verb: 'create' })).toBe('standard/port_forward');
    expect(rule({ subresource: 'proxy' })).toBe('standard/port_forward');
    expect(rule({ subresource: 'log' })).toBe('allowed');
    const switched = policy('exec: true\nsecrets: {write: false}');
    expect(ruleOf(switched.access(access({ subresource: 'exec', verb: 'create' })))).toBe(
      'allowed',
    );
    expect(ruleOf(switched.access(access({ resource: 'secrets', verb: 'create' })))).toBe(
      'file/secrets.write',
    );
    expect(ruleOf(switched.command({ type: 'exec', namespace: 'shop' }))).toBe('allowed');
  });

  test('a custom resource is allowed when root lists it', () => {
    const request = access({ group: 'example.com', resource: 'widgets', verb: 'create' });
    expect(ruleOf(STANDARD.access(request))).toBe('standard/resources');
    const widgets = policy('resources: [{group: example.com, resource: widgets, write: true}]');
    expect(ruleOf(widgets.access(request))).toBe('allowed');
    expect(ruleOf(widgets.access({ ...request, namespace: 'kube-system' }))).toBe(
      'standard/protected-namespaces',
    );
  });

  test('a narrowed policy does not list all namespaces at once', () => {
    const narrow = policy('namespaces: {deny: [bank]}');
    const list = access({ verb: 'list', namespace: '', name: '' });
    expect(ruleOf(STANDARD.access(list))).toBe('allowed');
    expect(ruleOf(narrow.access(list))).toBe('file/namespaces.deny[0]');
    expect(ruleOf(narrow.access({ ...list, resource: 'nodes' }))).toBe('allowed');
    expect(ruleOf(narrow.access({ ...list, resource: 'namespaces' }))).toBe('allowed');
    expect(
      ruleOf(narrow.access(access({ resource: 'namespaces', namespace: '', name: 'bank' }))),
    ).toBe('file/namespaces.deny[0]');
  });
});

describe('proxied requests', () => {
  const rule = (method: string, target: string, upgrade = false, asked = STANDARD) =>
    ruleOf(asked.request(method, target, upgrade));

  test('read, watch, change, within the same rules', () => {
    expect(rule('GET', '/api/v1/namespaces/shop/pods?limit=5')).toBe('allowed');
    expect(rule('GET', '/api/v1/pods?watch=true')).toBe('allowed');
    expect(rule('GET', '/apis/apps/v1/namespaces/shop/deployments/web')).toBe('allowed');
    expect(rule('POST', '/apis/apps/v1/namespaces/shop/deployments')).toBe('allowed');
    expect(rule('POST', '/apis/apps/v1/namespaces/kube-system/deployments')).toBe(
      'standard/protected-namespaces',
    );
    expect(rule('DELETE', '/api/v1/namespaces/shop/pods')).toBe('standard/resources');
    for (const target of [
      '/',
      '/version',
      '/healthz',
      '/api',
      '/apis/',
      '/apis/apps/v1',
      '/openapi/v3',
    ]) {
      expect([target, rule('GET', target)]).toEqual([target, 'allowed']);
    }
    expect(rule('GET', '/metrics')).toBe('proxy/non-resource');
    expect(rule('GET', '/logs/syslog')).toBe('proxy/non-resource');
    expect(rule('POST', '/version')).toBe('proxy/non-resource');
    expect(rule('CONNECT', '/api/v1/pods')).toBe('proxy/method');
  });

  test('everybody may ask what is allowed here, about themselves only', () => {
    const ask = (review: string) =>
      rule('POST', `/apis/authorization.k8s.io/v1/${review}`, false, READ_ONLY);
    expect(ask('selfsubjectaccessreviews')).toBe('allowed');
    expect(ask('selfsubjectrulesreviews?dryRun=All')).toBe('allowed');
    expect(ask('subjectaccessreviews')).toBe('read-only/resources');
    expect(ask('selfsubjectaccessreviews/x')).toBe('read-only/resources');
  });

  test('a stream counts as a change, whatever its method', () => {
    const target = '/api/v1/namespaces/shop/pods/web/exec?command=sh';
    expect(rule('GET', target, true)).toBe('standard/exec');
    expect(rule('GET', target, true, OPERATE)).toBe('allowed');
    expect(rule('GET', '/api/v1/namespaces/kube-system/pods/x/exec', true, OPERATE)).toBe(
      'operate/protected-namespaces',
    );
    expect(rule('GET', target, false, policy('preset: operate\nproxy: {verbs: [get, list]}'))).toBe(
      'file/proxy.verbs',
    );
  });

  test('paths with two readings are refused', () => {
    for (const target of [
      '/api/v1/namespaces/shop/../kube-system/secrets',
      '/api/v1/namespaces/shop/%2e%2e/kube-system/secrets',
      '/api/v1//secrets',
      '//api/v1/secrets',
      '/api/v1/namespaces/shop%2fsecrets/pods',
      '/api/v1/namespaces/shop/pods%5c..',
      '/api/v1/namespaces/shop/pods/a%00b',
      '/api/v1/namespaces/%6Bube-system/pods',
      '/api/v1/namespaces/shop/pods/web/log/more',
      '/api/v1/proxy/nodes/n/',
      'api/v1/pods',
      'https://other/api/v1/pods',
      '/api/v1/pods?watch=true&watch=false',
      '/api/v1/namespaces/shop/pods/wéb',
    ]) {
      expect([target, rule('GET', target, false, OPERATE)]).toEqual([target, 'proxy/path-form']);
    }
  });

  test('a query of which Kubernetes would drop a part is refused: it may be the selector', () => {
    const pods = '/api/v1/namespaces/shop/pods';
    for (const query of [
      ...['labelSelector=app%3', 'labelSelector=a%zz', 'labelSelector=a;b', '%=1', 'a=1&b=%4g'],
      'watch=true;',
    ]) {
      for (const method of ['DELETE', 'GET']) {
        const target = `${pods}?${query}`;
        expect([target, rule(method, target, false, OPERATE)]).toEqual([
          target,
          'proxy/query-form',
        ]);
      }
    }
    for (const query of ['labelSelector=a%3Db%2Cc', 'x=a#b', 'x=%25', 'limit=1&&continue=+']) {
      expect([query, rule('GET', `${pods}?${query}`)]).toEqual([query, 'allowed']);
    }
    expect(rule('GET', `${pods}/web/proxy/x?a;b=%`, false, OPERATE)).toBe('allowed');
  });

  test('behind the proxy of a pod the path is the application’s own; of a node never', () => {
    const target = '/api/v1/namespaces/shop/pods/web:8080/proxy/a%2fb//../c?x=1';
    expect(rule('GET', target, false, OPERATE)).toBe('allowed');
    expect(rule('GET', target)).toBe('standard/port_forward');
    expect(rule('GET', '/api/v1/nodes/n/proxy/run/x', false, OPERATE)).toBe('operate/resources');
    expect(rule('GET', '/api/v1/namespaces/kube-system/services/s/proxy/', false, OPERATE)).toBe(
      'operate/protected-namespaces',
    );
  });

  test('a Secret is not deleted by the proxy where it may not be read: the answer may hold it', () => {
    const target = '/api/v1/namespaces/shop/secrets/s?propagationPolicy=Foreground';
    expect(rule('DELETE', target)).toBe('standard/secrets.read');
    expect(rule('DELETE', target, false, OPERATE)).toBe('allowed');
  });

  test('the old watch paths are watches', () => {
    expect(rule('GET', '/api/v1/watch/namespaces/shop/pods')).toBe('allowed');
    expect(rule('GET', '/api/v1/watch/secrets', false, OPERATE)).toBe(
      'operate/protected-namespaces',
    );
    expect(rule('DELETE', '/api/v1/watch/namespaces/shop/pods', false, OPERATE)).toBe(
      'proxy/path-form',
    );
  });

  test('the file narrows paths and verbs, or closes the proxy', () => {
    const narrow = policy(
      'proxy: {paths: {allow: ["/apis/apps/*"], deny: ["*/namespaces/bank/*"]}}'.replace(
        '"*/',
        '"/apis/*/',
      ),
    );
    expect(rule('GET', '/apis/apps/v1/namespaces/shop/deployments', false, narrow)).toBe('allowed');
    expect(rule('GET', '/apis/apps/v1/namespaces/bank/deployments', false, narrow)).toBe(
      'file/proxy.paths.deny[0]',
    );
    expect(rule('GET', '/api/v1/pods', false, narrow)).toBe('file/proxy.paths.allow');
    expect(rule('GET', '/version', false, policy('proxy: {enabled: false}'))).toBe(
      'file/proxy.enabled',
    );
  });
});

test('a namespace that the file excludes is not made by a request that does not name it', () => {
  const make = (asked: ReturnType<typeof policy>, method = 'POST', name = '') =>
    ruleOf(asked.request(method, `/api/v1/namespaces${name}`, false));
  expect([
    make(STANDARD),
    make(policy('namespaces: {allow: ["shop-*"]}')),
    make(policy('namespaces: {deny: [bank]}')),
    make(policy('namespaces: {allow: ["shop-*"]}'), 'PATCH', '/shop-1'),
    make(policy('namespaces: {allow: ["shop-*"]}'), 'PATCH', '/bank'),
    make(policy('namespaces: {allow: ["shop-*"]}'), 'GET'),
  ]).toEqual([
    'allowed',
    'file/namespaces.allow',
    'file/namespaces.deny[0]',
    'allowed',
    'file/namespaces.allow',
    'allowed',
  ]);
});

test('the Service of the Kubernetes API and the certificate of every pod are never changed', () => {
  const open = policy(
    'preset: operate\nresources: [{group: "", resource: endpoints, write: true}, ' +
      '{group: discovery.k8s.io, resource: endpointslices, write: true}]',
  );
  const rule = (changes: Partial<AccessRequest>) =>
    ruleOf(open.access(access({ namespace: 'default', verb: 'patch', ...changes })));
  const slices = { group: 'discovery.k8s.io', resource: 'endpointslices' };
  const refusals = [
    { resource: 'services', name: 'kubernetes' },
    { resource: 'services', name: 'kubernetes', verb: 'delete' },
    { resource: 'services', subresource: 'proxy', name: 'kubernetes', verb: 'get' },
    { resource: 'services', subresource: 'proxy', name: 'https:kubernetes:443', verb: 'get' },
    { resource: 'services', subresource: 'proxy', name: 'kubernetes:https', verb: 'create' },
    { resource: 'endpoints', name: 'kubernetes' },
    { ...slices, name: 'kubernetes' },
    { resource: 'configmaps', name: 'kube-root-ca.crt', namespace: 'shop' },
  ];
  expect(refusals.map(rule)).toEqual(refusals.map(() => 'operate/protected-names'));
  const fine = [
    { resource: 'services', name: 'kubernetes', verb: 'get' },
    { resource: 'services', name: 'kubernetes-dashboard' },
    { resource: 'services', name: 'kubernetes', namespace: 'shop' },
    { resource: 'configmaps', name: 'kube-root-ca.crt', verb: 'get' },
    { resource: 'endpoints', name: 'web' },
  ];
  expect(fine.map(rule)).toEqual(fine.map(() => 'allowed'));
});

test('where no command works on nodes, the proxy does not either', () => {
  const patch = access({ resource: 'nodes', verb: 'patch', namespace: '', name: 'n' });
  const evict = access({ subresource: 'eviction', verb: 'create' });
  const rules = (yaml: string) =>
    [patch, evict].map((request) => ruleOf(policy(yaml).access(request)));
  expect(rules('')).toEqual(['allowed', 'allowed']);
  expect(rules('commands: {deny: [drain]}')).toEqual(['allowed', 'standard/resources']);
  expect(rules('commands: {deny: [cordon, uncordon, drain]}')).toEqual([
    'standard/resources',
    'standard/resources',
  ]);
  expect(rules('commands: {allow: [deploy]}')).toEqual([
    'standard/resources',
    'standard/resources',
  ]);
});

describe('what root grants', () => {
  const rulesOf = (yaml: string, requests: readonly Partial<AccessRequest>[]) => {
    const granted = policy(yaml);
    return requests.map((each) => ruleOf(granted.access(access(each))));
  };

  test('a subresource, of one kind or of all of a group', () => {
    const yaml =
      'resources: [{group: "", resource: pods/ephemeralcontainers, verbs: [update, patch]}, ' +
      '{group: example.com, resource: "*/status", write: true}, ' +
      '{group: "", resource: "*/status", scope: cluster, write: true}]';
    const ephemeral = { subresource: 'ephemeralcontainers', verb: 'patch' };
    const widget = { group: 'example.com', resource: 'widgets', verb: 'patch' };
    expect(
      rulesOf(yaml, [
        ephemeral,
        { ...ephemeral, verb: 'get' },
        { ...ephemeral, namespace: 'kube-system' },
        { ...widget, subresource: 'status' },
        widget,
        { ...widget, subresource: 'scale' },
        { subresource: 'status', verb: 'patch' },
        { subresource: 'status', verb: 'patch', namespace: 'kube-system' },
        { resource: 'nodes', subresource: 'status', verb: 'patch', namespace: '' },
      ]),
    ).toEqual([
      'allowed',
      'standard/resources',
      'standard/protected-namespaces',
      'allowed',
      'standard/resources',
      'standard/resources',
      'allowed',
      'standard/protected-namespaces',
      'standard/resources',
    ]);
  });

  test('a whole group, whose kinds nobody knows yet', () => {
    const yaml = 'resources: [{group: example.com, resource: "*", write: true}]';
    const widget = { group: 'example.com', resource: 'widgets', verb: 'create' };
    expect(
      rulesOf(yaml, [
        widget,
        { ...widget, subresource: 'status', verb: 'patch' },
        { ...widget, namespace: 'pipeops-system' },
        { ...widget, namespace: '', name: 'x' },
        { ...widget, group: 'example.org' },
        { ...widget, verb: 'deletecollection' },
      ]),
    ).toEqual([
      'allowed',
      'allowed',
      'standard/protected-namespaces',
      'standard/protected-namespaces',
      'standard/resources',
      'standard/resources',
    ]);
  });

  test('deleting all of a kind at once, within a namespace', () => {
    const yaml = 'resources: [{group: "", resource: pods, verbs: [deletecollection]}]';
    const all = { verb: 'deletecollection', name: '' };
    expect(
      rulesOf(yaml, [all, { ...all, namespace: 'kube-system' }, { ...all, namespace: '' }, {}]),
    ).toEqual([
      'allowed',
      'standard/protected-namespaces',
      'standard/protected-namespaces',
      'allowed',
    ]);
  });
});

describe('objects', () => {
  const ruleFor = (object: object, asked = STANDARD) => ruleOf(asked.object(object));
  const privileged = policy('pod_security: privileged');

  test('volumes that are a place on a node', () => {
    const volume = (source: object) => ({ kind: 'PersistentVolume', spec: source });
    expect([
      ruleFor(volume({ hostPath: { path: '/' } })),
      ruleFor(volume({ local: { path: '/' } })),
      ruleFor(volume({ nfs: { server: 'x', path: '/' } })),
      ruleFor(volume({ hostPath: { path: '/' } }), privileged),
      ruleFor({ kind: 'Service', spec: { externalIPs: ['192.0.2.1'] } }),
    ]).toEqual([
      'standard/pod-security',
      'standard/pod-security',
      'allowed',
      'allowed',
      'standard/pod-security',
    ]);
  });

  test('what decides about others, whatever the level of pods', () => {
    const namespace = (metadata: object) => ({ kind: 'Namespace', metadata });
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'y' };
    expect(
      [
        namespace({ labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } }),
        namespace({ ownerReferences: [owner] }),
        namespace({ finalizers: ['example.com/x'] }),
        namespace({ labels: { team: 'shop' } }),
        { kind: 'Secret', type: 'kubernetes.io/service-account-token' },
        { kind: 'Secret', type: 'Opaque' },
        {
          kind: 'EndpointSlice',
          metadata: { labels: { 'kubernetes.io/service-name': 'kubernetes' } },
        },
        {
          kind: 'CustomResourceDefinition',
          spec: { conversion: { strategy: 'Webhook' } },
        },
        { kind: 'Deployment', metadata: { ownerReferences: [owner] } },
      ].map((each) => ruleFor(each, privileged)),
    ).toEqual([
      'standard/namespaces',
      'standard/namespaces',
      'standard/namespaces',
      'allowed',
      'standard/own-tokens',
      'allowed',
      'standard/protected-names',
      'standard/webhooks',
      'allowed',
    ]);
  });

  test('level restricted can be chosen', () => {
    const pod = { kind: 'Pod', spec: { containers: [{ name: 'c', image: 'x' }] } };
    expect([ruleFor(pod), ruleFor(pod, policy('pod_security: restricted'))]).toEqual([
      'allowed',
      'file/pod-security',
    ]);
  });
});

test('the tunnel reaches the Kubernetes API only where root says so', () => {
  expect(
    [READ_ONLY, STANDARD, OPERATE, policy('tunnel: {kubernetes_api: true}')].map((each) =>
      ruleOf(each.kubernetesApi()),
    ),
  ).toEqual([
    'read-only/tunnel.kubernetes_api',
    'standard/tunnel.kubernetes_api',
    'operate/tunnel.kubernetes_api',
    'allowed',
  ]);
});

test('the tunnel reaches applications under every preset, in namespaces that are not protected', () => {
  const rules = (namespace: string) =>
    [READ_ONLY, OPERATE, policy('namespaces: {deny: [bank]}')].map((each) =>
      ruleOf(each.reach(namespace)),
    );
  expect(rules('shop')).toEqual(['allowed', 'allowed', 'allowed']);
  expect(rules('bank')).toEqual(['allowed', 'allowed', 'file/namespaces.deny[0]']);
  expect(rules('kube-system')).toEqual([
    'read-only/protected-namespaces',
    'operate/protected-namespaces',
    'standard/protected-namespaces',
  ]);
});

test('a denied path is denied in each form that Kubernetes reads as the same', () => {
  const narrow = policy(
    'proxy: {paths: {deny: ["/api/v1/namespaces/bank/pods", "/api/v1/nodes"]}}',
  );
  for (const target of [
    '/api/v1/namespaces/bank/pods',
    '/api/v1/namespaces/bank/pods/',
    '/api/v1/namespaces/bank/pods/?limit=1',
    '/api/v1/watch/namespaces/bank/pods',
    '/api/v1/nodes/',
  ]) {
    expect([target, ruleOf(narrow.request('GET', target, false))]).toEqual([
      target,
      expect.stringContaining('file/proxy.paths.deny'),
    ]);
  }
});

test('a kind that the file calls cluster-wide by mistake is still kept out of protected namespaces', () => {
  const mistaken = policy(
    'resources: [{group: "", resource: pods, scope: cluster, write: true}, {group: example.com, resource: widgets, scope: cluster, write: true}]',
  );
  const inKube = { verb: 'create', namespace: 'kube-system' };
  for (const kind of [{ resource: 'pods' }, { group: 'example.com', resource: 'widgets' }]) {
    expect(ruleOf(mistaken.access(access({ ...inKube, ...kind })))).toBe(
      'standard/protected-namespaces',
    );
  }
});
