import { describe, expect, test } from 'bun:test';
import { Config, durationMs } from '../../src/config/schema.ts';

/** Messages of what is wrong, by path. */
function problems(input: unknown): Record<string, string> {
  const parsed = Config.safeParse(input);
  return Object.fromEntries(
    (parsed.error?.issues ?? []).map((issue) => [issue.path.join('.'), issue.message]),
  );
}

describe('durations', () => {
  test.each(['1s', '300s', '5m', '1000ms'])('a heartbeat interval may be %s', (text) => {
    expect(problems({ control_plane: { heartbeat_interval: text } })).toEqual({});
  });

  test.each(['999ms', '5m1ms', '1h', '30', 'often', ''])(
    'a heartbeat interval may not be "%s"',
    (text) => {
      expect(problems({ control_plane: { heartbeat_interval: text } })).toEqual({
        'control_plane.heartbeat_interval':
          'must be a duration such as "30s", from 1000 ms to 300000 ms',
      });
    },
  );

  test('durationMs() gives the milliseconds of a setting', () => {
    expect(durationMs(Config.parse({}).control_plane.heartbeat_interval)).toBe(30_000);
  });

  test('durationMs() throws when the text was never validated', () => {
    expect(() => durationMs('soon')).toThrow(new RangeError('Cannot read the duration "soon"'));
  });
});

describe('names', () => {
  test.each(['a', 'prod-1', 'Prod.eu_west', 'a'.repeat(63)])(
    'a cluster may be called %s',
    (name) => {
      expect(problems({ cluster: { name } })).toEqual({});
    },
  );

  test.each(['-prod', 'prod-', 'two words', 'a'.repeat(64), 'a/b', 'prod\n'])(
    'a cluster may not be called %j',
    (name) => {
      expect(problems({ cluster: { name } })).toEqual({
        'cluster.name': 'must be 1 to 63 letters, digits, ".", "_" or "-"',
      });
    },
  );

  test.each(['..', '.', '../x', 'a b', 'a'.repeat(65), 'x\n'])(
    'an agent id may not be %j',
    (id) => {
      expect(problems({ agent: { id } })).toEqual({
        'agent.id':
          'must be at most 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
      });
    },
  );
});

describe('k3s versions', () => {
  test.each(['v1.36.3+k3s1', 'v1.35.0-rc2+k3s12', 'v1.30.0-alpha.1+k3s1'])(
    '%s is one',
    (version) => {
      expect(problems({ k3s: { version } })).toEqual({});
    },
  );

  test.each(['1.36.3+k3s1', 'v1.36.3', 'v1.36+k3s1', 'latest', 'v1.36.3+k3s1; reboot'])(
    '"%s" is none',
    (version) => {
      expect(problems({ k3s: { version } })).toEqual({
        'k3s.version': 'must be a k3s version such as v1.36.3+k3s1',
      });
    },
  );
});

describe('ports', () => {
  test.each([0, 1, 65_535])('%d is one', (port) => {
    expect(problems({ http: { port } })).toEqual({});
  });

  test.each([-1, 65_536, 80.5, '80', null])('%j is none', (port) => {
    expect(Object.keys(problems({ http: { port } }))).toEqual(['http.port']);
  });
});
