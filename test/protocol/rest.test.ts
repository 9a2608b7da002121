import { describe, expect, test } from 'bun:test';
import {
  ClusterStatus,
  Command,
  CommandResult,
  CommandsResponse,
  Heartbeat,
  REST_PATHS,
  Registration,
} from '../../src/protocol/rest.ts';

const NOW = '2026-01-01T00:00:00.000Z';

const REGISTRATION: Registration = {
  id: 'agent-1',
  name: 'host-1',
  cluster_name: 'prod',
  version: '0.1.0',
  labels: { hostname: 'host-1', 'agent.pipeops.io/version': '0.1.0' },
  status: 'registering',
  last_seen: NOW,
  control_plane_url: '',
};

const RESULT: CommandResult = {
  success: false,
  output: 'Nothing was rolled out',
  error: 'The image cannot be pulled',
  error_code: 'ROLLOUT_FAILED',
  data: { reasons: ['ErrImagePull'] },
  metadata: {
    attempts: 2,
    started_at: null,
    finished_at: NOW,
    duration_ms: 12.5,
    truncated: false,
  },
  timestamp: NOW,
};

describe('REST_PATHS', () => {
  test('gives the addresses of all six calls', () => {
    expect([
      REST_PATHS.register(),
      REST_PATHS.heartbeat('a1'),
      REST_PATHS.status('a1'),
      REST_PATHS.commands('a1'),
      REST_PATHS.result('a1', 'c1'),
      REST_PATHS.health(),
    ]).toEqual([
      '/api/v1/agents/register',
      '/api/v1/agents/a1/heartbeat',
      '/api/v1/agents/a1/status',
      '/api/v1/agents/a1/commands',
      '/api/v1/agents/a1/commands/c1/result',
      '/api/v1/health',
    ]);
  });

  test('keeps an id from outside one part of the path', () => {
    expect(REST_PATHS.result('a/b', '../x?y#z')).toBe(
      '/api/v1/agents/a%2Fb/commands/..%2Fx%3Fy%23z/result',
    );
  });
});

describe('Registration', () => {
  test('takes a whole one', () => {
    expect(Registration.parse(REGISTRATION)).toEqual(REGISTRATION);
  });

  test('refuses a token in the body, where it must never be', () => {
    expect(Registration.safeParse({ ...REGISTRATION, token: 'secret' }).success).toBeFalse();
  });
});

describe('Heartbeat', () => {
  const heartbeat: Heartbeat = {
    agent_id: 'agent-1',
    cluster_name: 'prod',
    status: 'connected',
    proxy_status: 'direct',
    timestamp: NOW,
    metadata: { version: '0.1.0' },
  };

  test('takes a whole one', () => {
    expect(Heartbeat.parse(heartbeat)).toEqual(heartbeat);
  });

  test.each(['2026-01-01', '2026-01-01T00:00:00', 'now'])(
    'refuses the time %s, which is not a moment',
    (timestamp) => {
      expect(Heartbeat.safeParse({ ...heartbeat, timestamp }).success).toBeFalse();
    },
  );

  test('takes a time with an offset', () => {
    const timestamp = '2026-01-01T01:00:00+01:00';
    expect(Heartbeat.parse({ ...heartbeat, timestamp }).timestamp).toBe(timestamp);
  });
});

describe('ClusterStatus', () => {
  test('takes null for lists of which nothing is known', () => {
    const status: ClusterStatus = {
      nodes: null,
      namespaces: null,
      deployments: null,
      services: null,
      pods: null,
      metrics: { cpu_usage: 0, memory_usage: 0, pod_count: 0, node_count: 0 },
      timestamp: NOW,
    };
    expect(ClusterStatus.parse(status)).toEqual(status);
  });

  test('takes one of everything', () => {
    const object = { name: 'web', namespace: 'shop', ready: true, created_at: NOW };
    const status: ClusterStatus = {
      nodes: [
        {
          name: 'host-1',
          ready: true,
          version: 'v1.36.3+k3s1',
          os: 'linux',
          arch: 'amd64',
          labels: { a: 'b' },
          resources: { allocatable: { cpu: '2' }, capacity: { cpu: '2', memory: '4Gi' } },
        },
      ],
      namespaces: ['shop'],
      deployments: [object],
      services: [{ ...object, labels: { app: 'web' } }],
      pods: [{ ...object, phase: 'Running', node_name: 'host-1', containers: 1, restarts: 0 }],
      metrics: { cpu_usage: 12.5, memory_usage: 40, pod_count: 1, node_count: 1 },
      timestamp: NOW,
    };
    expect(ClusterStatus.parse(status)).toEqual(status);
  });
});

describe('Command', () => {
  test('lets fields through that a newer control plane may send', () => {
    const command = { id: 'c1', type: 'deploy', payload: { name: 'web' }, priority: 3 };
    expect(Command.parse(command)).toEqual(command);
  });

  test('takes null where the existing control plane sends it', () => {
    const command = {
      id: 'c1',
      type: 'get_resources',
      payload: null,
      created_at: null,
      timeout_seconds: null,
    };
    expect(Command.parse(command)).toEqual(command);
  });

  test.each([
    ['no id', { type: 'deploy' }],
    ['an empty id', { id: '', type: 'deploy' }],
    ['an id of 129 characters', { id: 'x'.repeat(129), type: 'deploy' }],
    ['a fraction as id', { id: 1.5, type: 'deploy' }],
    ['no type', { id: 'c1' }],
    ['a list as payload', { id: 'c1', type: 'deploy', payload: [] }],
    ['no time at all', { id: 'c1', type: 'deploy', timeout_seconds: 0 }],
    ['more than a day', { id: 'c1', type: 'deploy', timeout_seconds: 86_401 }],
  ])('refuses %s', (_, command) => {
    expect(Command.safeParse(command).success).toBeFalse();
  });
});

describe('CommandsResponse', () => {
  test.each([{ commands: [] }, { commands: null }, {}, { commands: [{ bad: true }, 7] }])(
    'takes %j, since each command is looked at on its own',
    (response) => {
      expect<unknown>(CommandsResponse.parse(response)).toEqual(response);
    },
  );

  test.each([
    ['a list', []],
    ['text', 'none'],
    ['commands that are no list', { commands: {} }],
  ])('refuses %s', (_, response) => {
    expect(CommandsResponse.safeParse(response).success).toBeFalse();
  });
});

describe('CommandResult', () => {
  test('takes a failure with all its fields', () => {
    expect(CommandResult.parse(RESULT)).toEqual(RESULT);
  });

  test('refuses a field that the control plane does not know', () => {
    expect(CommandResult.safeParse({ ...RESULT, exit_code: 1 }).success).toBeFalse();
  });
});
