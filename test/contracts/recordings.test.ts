/** The agent against a peer that says and expects exactly what the existing control plane does. */
import { expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startContractAgent, TOKEN } from './agent.ts';
import { playRecording, readRecording } from './recording-player.ts';

const RECORDINGS = join(import.meta.dir, 'recordings');

test.each(readdirSync(RECORDINGS).sort())('it keeps to %s', async (name) => {
  const lines = readRecording(await Bun.file(join(RECORDINGS, name)).text());
  await using player = playRecording(lines, TOKEN);
  const transport = name === 'rest.jsonl' ? 'rest' : 'websocket';
  // A refused token is tried again after half a minute.
  const hurry = name === 'token-refused.jsonl' ? 20 : 1;
  await using _ = await startContractAgent({ url: player.url, transport, hurry });
  await expect(player.played).resolves.toBeUndefined();
});

test('the player refuses a message that is not expected, or has another shape', async () => {
  const text = await Bun.file(join(RECORDINGS, 'controller.jsonl')).text();
  for (const [from, to] of [
    ['"agent_mode":"vm-agent"', '"agent_mode":"pod-agent"'],
    ['"hostname":"vm","agent_version"', '"agent_version"'],
    ['"type":"register",', '"type":"enroll",'],
  ] as const) {
    await using player = playRecording(readRecording(text.replace(from, to)), TOKEN);
    await using _ = await startContractAgent({ url: player.url, transport: 'websocket' });
    await expect(player.played).rejects.toThrow('websocket: ');
  }
});
