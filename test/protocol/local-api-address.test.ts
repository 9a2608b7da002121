import { expect, test } from 'bun:test';
import { addressOf } from '../../src/protocol/local-api-address.ts';

test.each([
  ['GET /api/health', {}, 'GET /api/health'],
  ['POST /api/commands/{id}/cancel', { id: 'a/b c' }, 'POST /api/commands/a%2Fb%20c/cancel'],
  [
    'GET /api/k8s/logs/{namespace}/{pod}',
    { namespace: 'default', pod: 'web-1', tail: 5, follow: true, container: undefined },
    'GET /api/k8s/logs/default/web-1?tail=5&follow=true',
  ],
  ['GET /api/k8s/pods', { name: 'a&limit=1' }, 'GET /api/k8s/pods?name=a%26limit%3D1'],
])('%s with %j is asked as such', (name, given, expected) => {
  const { method, target } = addressOf(name, given);
  expect(`${method} ${target}`).toBe(expected);
});
