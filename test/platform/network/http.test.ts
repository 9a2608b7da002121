import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { systemHttp } from '../../../src/platform/network/http.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

test('systemHttp() speaks over a Unix socket', async () => {
  await using directory = await tempDirectory();
  const unix = join(directory.path, 'agent.sock');
  await using _server = Bun.serve({
    unix,
    fetch: async (request) => Response.json({ method: request.method, body: await request.text() }),
  });
  const response = await systemHttp('http://localhost/ready', { unix, method: 'POST', body: 'x' });
  expect({ status: response.status, body: await response.json() }).toEqual({
    status: 200,
    body: { method: 'POST', body: 'x' },
  });
});

test('systemHttp() rejects when nothing listens', async () => {
  await using directory = await tempDirectory();
  const unix = join(directory.path, 'nobody.sock');
  await expect(systemHttp('http://localhost/', { unix })).rejects.toThrow();
});
