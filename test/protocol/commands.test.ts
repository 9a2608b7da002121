import { describe, expect, test } from 'bun:test';
import type { z } from 'zod';
import { ApplyPayload, MANIFEST_LIMIT_BYTES } from '../../src/protocol/commands/apply.ts';
import { DeployData, DeployPayload, UpdatePayload } from '../../src/protocol/commands/deploy.ts';
import {
  GetResourcesData,
  GetResourcesPayload,
} from '../../src/protocol/commands/get-resources.ts';
import {
  DeletePayload,
  DeleteTargets,
  ScalePayload,
} from '../../src/protocol/commands/workload.ts';
import { DnsLabel } from '../../src/protocol/dns-label.ts';

/** Where the schema finds something wrong, sorted. */
function wrongPaths(schema: z.ZodType, input: unknown): readonly string[] {
  const issues = schema.safeParse(input).error?.issues ?? [];
  return issues
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => [...issue.path, key].join('.'))
        : [issue.path.join('.')],
    )
    .sort();
}

function withCpuLimit(cpu: string | number): unknown {
  return { name: 'web', image: 'nginx', resources: { limits: { cpu } } };
}

describe('DnsLabel', () => {
  test.each(['a', '0', 'web-1', 'a'.repeat(63)])('takes %s', (name) => {
    expect(DnsLabel.parse(name)).toBe(name);
  });

  test.each(['', '-web', 'web-', 'Web', 'web_1', 'web.1', 'a'.repeat(64), 'web\n', '../web'])(
    'refuses %j',
    (name) => {
      expect(DnsLabel.safeParse(name).error?.issues.map(({ message }) => message)).toEqual([
        'must be lower-case letters, digits and "-", at most 63 characters (RFC 1123)',
      ]);
    },
  );
});

describe('DeployPayload', () => {
  test('puts nothing in the place of what is not given: it stays as it is', () => {
    expect(DeployPayload.parse({ name: 'web', image: 'nginx:1' })).toEqual({
      name: 'web',
      namespace: 'default',
      image: 'nginx:1',
      wait_seconds: 120,
      rollback_on_failure: false,
    });
  });

  test('keeps everything of the longest payload', () => {
    const payload: DeployPayload = {
      name: 'web',
      namespace: 'shop',
      image: 'registry.example/web@sha256:abc',
      replicas: 3,
      ports: [
        { name: 'http', container_port: 8080, protocol: 'TCP' },
        { container_port: 53, protocol: 'UDP' },
      ],
      environment: { LOG_LEVEL: 'info', EMPTY: '' },
      resources: { limits: { cpu: '1.5', memory: '512Mi' }, requests: { cpu: '250m' } },
      labels: { tier: 'front' },
      annotations: { note: 'x' },
      command: ['/bin/web'],
      args: ['--fast'],
      probes: {
        liveness: { exec: { command: ['/bin/alive'] }, failure_threshold: 5 },
        readiness: {
          http: { path: '/ready', port: 'http', scheme: 'HTTP' },
          initial_delay_seconds: 0,
          period_seconds: 5,
          timeout_seconds: 2,
          success_threshold: 2,
        },
        startup: { tcp: { port: 8080 } },
      },
      image_pull_secret: 'registry.key',
      domains: ['shop.example.com', '*.shop.example.com'],
      wait_seconds: 60,
      rollback_on_failure: true,
    };
    expect(DeployPayload.parse(payload)).toEqual(payload);
  });

  test('tells every wrong field at once', () => {
    const payload = {
      name: 'Web',
      namespace: 'a_b',
      image: '',
      replicas: 1_001,
      ports: [{ container_port: 0 }, { container_port: 80, protocol: 'HTTP', host_port: 80 }],
      environment: { A: 1 },
      resources: { limits: { cpu: 'lots' }, requests: { disk: '1Gi' } },
      wait_seconds: 3_601,
      privileged: true,
      labels: { 'no/two/slashes': 'x', tier: 'not a value' },
      probes: {
        liveness: {},
        readiness: { tcp: { port: 1 }, http: { port: 1 } },
        startup: { tcp: { port: 1 }, success_threshold: 2 },
      },
      image_pull_secret: 'A',
      domains: ['Upper.example.com', 'a_b'],
    };
    expect(wrongPaths(DeployPayload, payload)).toEqual([
      'domains.0',
      'domains.1',
      'environment.A',
      'image',
      'image_pull_secret',
      'labels.no/two/slashes',
      'labels.tier',
      'name',
      'namespace',
      'ports.0.container_port',
      'ports.1.host_port',
      'ports.1.protocol',
      'privileged',
      'probes.liveness',
      'probes.readiness',
      'probes.startup',
      'replicas',
      'resources.limits.cpu',
      'resources.requests.disk',
      'wait_seconds',
    ]);
  });

  test.each([
    '1',
    '0.5',
    '100m',
    '128Mi',
    '1Gi',
    '2G',
    '.5',
    '5.',
    '129e6',
    '1E-3',
    '100n',
    0.5,
    2,
  ])('takes the quantity %s', (cpu) => {
    expect(wrongPaths(DeployPayload, withCpuLimit(cpu))).toEqual([]);
  });

  test.each(['', '-1', '1e', '1 Gi', '.', '1gi', 'Mi', '1e1.5'])(
    'refuses the quantity "%s"',
    (cpu) => {
      expect(wrongPaths(DeployPayload, withCpuLimit(cpu))).toEqual(['resources.limits.cpu']);
    },
  );

  test.each([
    ['ports', 64, { container_port: 80 }],
    ['command', 256, 'x'],
    ['args', 256, 'x'],
  ])('takes no more than the limit of %s', (field, most, item) => {
    const payload = (count: number) => ({
      name: 'web',
      image: 'nginx',
      [field]: Array(count).fill(item),
    });
    expect(wrongPaths(DeployPayload, payload(most))).toEqual([]);
    expect(wrongPaths(DeployPayload, payload(most + 1))).toEqual([field]);
  });
});

describe('fields that need others', () => {
  const payload = { name: 'web', image: 'nginx' };

  test('domains need a port, going back needs a wait', () => {
    const going = { rollback_on_failure: true, wait_seconds: 0 };
    const wishes = { ...payload, domains: ['a.io'], ports: [], ...going };
    expect(wrongPaths(DeployPayload, wishes)).toEqual(['domains', 'rollback_on_failure']);
  });

  test('an update names something to change, and gets no defaults for the rest', () => {
    expect(wrongPaths(UpdatePayload, { name: 'web' })).toEqual(['']);
    expect(UpdatePayload.parse(payload)).toEqual({
      name: 'web',
      namespace: 'default',
      image: 'nginx',
      wait_seconds: 120,
      rollback_on_failure: false,
    });
  });

  test('a manifest ends at its limit, and a label to prune by has a value', () => {
    const manifest = (bytes: number) => ({ manifest: 'x'.repeat(bytes) });
    expect(wrongPaths(ApplyPayload, manifest(MANIFEST_LIMIT_BYTES))).toEqual([]);
    expect(wrongPaths(ApplyPayload, manifest(MANIFEST_LIMIT_BYTES + 1))).toEqual(['manifest']);
    expect(wrongPaths(ApplyPayload, { manifest: 'x', prune_label: 'part' })).toEqual([
      'prune_label',
    ]);
  });
});

describe('ScalePayload', () => {
  test('gives its defaults and takes 0 replicas', () => {
    expect(ScalePayload.parse({ name: 'web', replicas: 0 })).toEqual({
      name: 'web',
      namespace: 'default',
      replicas: 0,
      wait_seconds: 120,
    });
  });

  test.each([{}, { replicas: '3' }, { replicas: -1 }, { replicas: 1.5 }, { replicas: 1_001 }])(
    'refuses the replicas of %j',
    (replicas) => {
      expect(wrongPaths(ScalePayload, { name: 'web', ...replicas })).toEqual(['replicas']);
    },
  );
});

describe('DeletePayload', () => {
  test('gives its default and refuses what it does not know', () => {
    expect(DeletePayload.parse({ name: 'web' })).toEqual({ name: 'web', namespace: 'default' });
    expect(wrongPaths(DeletePayload, { name: 'web', all: true })).toEqual(['all']);
  });
});

describe('GetResourcesPayload', () => {
  test('asks for the cluster status when it is empty', () => {
    expect(GetResourcesPayload.parse({})).toEqual({ limit: 1_000 });
  });

  test.each([
    [{ kinds: [] }, ['kinds']],
    [{ kinds: ['secrets'] }, ['kinds.0']],
    [{ limit: 0, namespace: '' }, ['limit', 'namespace']],
    [{ limit: 1_001 }, ['limit']],
  ])('refuses %j', (payload, paths) => {
    expect(wrongPaths(GetResourcesPayload, payload)).toEqual(paths);
  });
});

describe('data of results', () => {
  test('GetResourcesData takes resources by kind', () => {
    const data = { resources: { pods: [{ metadata: { name: 'a' } }] }, truncated_kinds: ['pods'] };
    expect(GetResourcesData.parse(data)).toEqual(data);
  });

  test('GetResourcesData refuses a mixture', () => {
    const mixture = { resources: {}, truncated_kinds: [], nodes: [] };
    expect(GetResourcesData.safeParse(mixture).success).toBeFalse();
  });

  test('DeployData takes whole numbers only', () => {
    const data = { revision: 1, replicas_wanted: 2.5, replicas_ready: -1 };
    expect(wrongPaths(DeployData, data)).toEqual(['replicas_ready', 'replicas_wanted']);
  });

  test('DeleteTargets needs the uid that makes a repeated delete safe', () => {
    const target = { label: 'Service/web', path: '/api/v1/namespaces/a/services/web', uid: 'u1' };
    expect(DeleteTargets.parse([target])).toEqual([target]);
    expect(wrongPaths(DeleteTargets, [{ ...target, uid: undefined }])).toEqual(['0.uid']);
  });
});
