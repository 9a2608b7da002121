import { expect, test } from 'bun:test';
import type { SessionLink } from '../../src/control-plane/session/ports.ts';
import { sessionDataPlane } from '../../src/tunnel/session-data-plane.ts';

test('messages and bytes go to whom they belong, and both hear of the end', () => {
  const heard: string[] = [];
  let active = false;
  const attached = (name: string) => ({
    message: ({ type }: { type: string }) => void heard.push(`${name} ${type}`),
    binary: (data: Uint8Array) => void heard.push(`${name} ${data.length} bytes`),
    goAway: () => void heard.push(`${name} goes away`),
    underWay: () => (name === 'proxy' ? 2 : 3),
    close: () => void heard.push(`${name} closed`),
  });
  const plane = sessionDataPlane({
    proxy: { types: ['proxy_request'], attach: () => attached('proxy') },
    tunnel: {
      types: ['gateway_hello'],
      attach: () => ({
        ...attached('tunnel'),
        get isActive() {
          return active;
        },
      }),
    },
  });
  expect(plane.types).toEqual(['proxy_request', 'gateway_hello']);
  const link: SessionLink = {
    kind: 'gateway',
    clusterId: '',
    clusterUuid: '',
    windowed: false,
    send: () => true,
    sendBinary: () => true,
    bufferedBytes: () => 0,
    acceptsServiceToken: () => false,
  };
  const both = plane.attach(link);
  both.message({ type: 'proxy_request' });
  both.binary(new Uint8Array(1));
  both.message({ type: 'gateway_hello' });
  active = true;
  both.binary(new Uint8Array(2));
  both.goAway();
  expect(both.underWay()).toBe(5);
  both.close();
  expect(heard).toEqual([
    ...['proxy proxy_request', 'proxy 1 bytes', 'tunnel gateway_hello', 'tunnel 2 bytes'],
    ...['tunnel goes away', 'proxy goes away'],
    ...['tunnel closed', 'proxy closed'],
  ]);
});
