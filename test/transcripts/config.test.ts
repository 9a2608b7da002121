import { expect, test } from 'bun:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDirectory } from '../support/temp-dir.ts';
import { runAgent } from './run-agent.ts';

test('config validate names every mistake at once, with suggestions', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'config.yaml');
  await writeFile(
    path,
    `agent: {rol: node, role: worker}
cluster: {name: "not a name"}
control_plane: {url: "ftp://example.com", heartbeat_interval: soon}
http: {port: 99999}
`,
  );
  const { exitCode, stdout, stderr } = await runAgent(['config', 'validate', '--config', path]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
  const lines = stderr.split('\n');
  expect(lines[0]).toBe(`${path} has keys that are not known here:`);
  expect(lines[2]).toBe('pipeops-agent: error: The configuration has 5 problems:');
  expect(lines.filter((line) => line.startsWith('  - ')).map((line) => line.split(':')[0])).toEqual(
    [
      '  - line 1',
      '  - agent.role',
      '  - cluster.name',
      '  - control_plane.url',
      '  - control_plane.heartbeat_interval',
      '  - http.port',
    ],
  );
  expect(stderr).toContain('did you mean "agent.role"?');
  expect(stderr).toContain(`pipeops-agent: hint: Correct ${path}`);
});

test('config validate and show accept a good file and say where each value came from', async () => {
  await using directory = await tempDirectory();
  const path = join(directory.path, 'config.yaml');
  await writeFile(path, 'cluster: {name: from-file}\nlog: {level: warn}\n');
  expect(await runAgent(['config', 'validate', '--config', path])).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `${path}: no problems\n`,
  });
  const shown = await runAgent(['config', 'show', '--json', '--config', path, '--port', '9090'], {
    env: { LOG_LEVEL: 'debug' },
  });
  const { settings } = JSON.parse(shown.stdout) as {
    settings: { setting: string; value: unknown; source: string }[];
  };
  const from = (source: string) =>
    settings.filter((each) => each.source === source).map(({ setting, value }) => [setting, value]);
  expect({ flag: from('flag'), env: from('env'), file: from('file') }).toEqual({
    flag: [['http.port', 9090]],
    env: [['log.level', 'debug']],
    file: [['cluster.name', 'from-file']],
  });
});

test('files in the current directory neither run nor set anything', async () => {
  await using directory = await tempDirectory();
  const at = (name: string) => join(directory.path, name);
  const trap = at('it-ran');
  await writeFile(at('evil.ts'), `require('node:fs').writeFileSync(${JSON.stringify(trap)}, '');`);
  await writeFile(at('bunfig.toml'), 'preload = ["./evil.ts"]\n');
  await writeFile(at('.env'), 'PIPEOPS_API_URL=https://evil.example\n');
  const shown = await runAgent(['config', 'show', '--json'], { cwd: directory.path });
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).not.toContain('evil');
  expect(await Bun.file(trap).exists()).toBe(false);
});
