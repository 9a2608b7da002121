import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { tempDirectory } from '../temp-dir.ts';
import { rawAgent, registeredAgent } from './raw-agent.ts';

const SCRIPT = join(import.meta.dir, '../../../scripts/control-plane.ts');

async function startProcess(databasePath: string, listen: string) {
  const child = Bun.spawn(
    [process.execPath, SCRIPT, '--token', 'token', '--db', databasePath, '--listen', listen],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const { url, admin_url: adminUrl } = JSON.parse(new TextDecoder().decode(value));
  return {
    url: String(url),
    adminUrl: String(adminUrl),
    /** @returns what it wrote to stderr */
    kill: async () => {
      child.kill('SIGKILL');
      await child.exited;
      return new Response(child.stderr).text();
    },
  };
}

test('killed in the middle of a command it goes on with it, and says nothing about faults', async () => {
  await using directory = await tempDirectory();
  const databasePath = join(directory.path, 'db.sqlite');
  const first = await startProcess(databasePath, '127.0.0.1:0');
  const agent = await registeredAgent(first);
  const commands = `${first.adminUrl}/admin/agents/one/commands`;
  const made = await fetch(commands, { method: 'POST', body: '{"type":"scale"}' });
  const { id } = (await made.json()) as { id: string };
  await agent.next('command');
  await fetch(`${first.adminUrl}/admin/faults`, { method: 'POST', body: '{"kind":"drop"}' });
  await expect(rawAgent(first)).rejects.toThrow('refused');
  expect(await first.kill()).toBe('');
  expect(await agent.closed).toBe(1006);

  const second = await startProcess(databasePath, new URL(first.url).host);
  expect(second.url).toBe(first.url);
  {
    await using again = await registeredAgent(second);
    expect((await again.next('command')).payload).toMatchObject({ id });
    const shown = await (await fetch(`${second.adminUrl}/admin/agents/one`)).json();
    expect(shown).toMatchObject({ registrations: 2, connected: true, protocol_errors: [] });
  }
  expect(await second.kill()).toBe('');
});
