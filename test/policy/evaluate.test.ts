import { describe, expect, test } from 'bun:test';
import { effectivePolicy } from '../../src/policy/effective-policy.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import type { AccessRequest, PolicyDecision } from '../../src/policy/policy.ts';
import { parsePolicyFile } from '../../src/policy/read-policy-file.ts';

const policy = (yaml: string) => policyOf(effectivePolicy(parsePolicyFile(yaml, 'policy.yaml')));
const READ_ONLY = policy('preset: read-only');
const STANDARD = policy('');
const OPERATE = policy('preset: operate');

const ruleOf = (decision: PolicyDecision) => (decision.allowed ? 'allowed' : decision.rule);
const access = (changes: Partial<AccessRequest>): AccessRequest => ({
  ...{ verb: 'get', group: '', resource: 'pods', subresource: '', namespace: 'shop', name: 'web' },
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
          ...{ group: 'rbac.authorization.k8s.io', resource, verb },
        })),
      ),
      ...['validatingwebhookconfigurations', 'validatingadmissionpolicies'].map((resource) => ({
        ...{ group: 'admissionregistration.k8s.io', resource, verb: 'delete', namespace: '' },
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

test('the tunnel reaches applications under every preset, in namespaces that are not protected', () => {
  const rules = (namespace: string) =>
    [READ_ONLY, OPERATE, policy('namespaces: {deny: [bank]}')].map((each) =>
      ruleOf(each.route(namespace)),
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
