import { expect, test } from 'bun:test';
import { ownEndpoint } from '../../src/config/own-endpoint.ts';

test.each([
  ['10.0.0.5:9464', { address: '10.0.0.5', port: 9464 }],
  ['[fd00::5]:9464', { address: 'fd00::5', port: 9464 }],
  ['127.0.0.1:0', { address: '127.0.0.1', port: 0 }],
  ...[
    ...['', '9464', ':9464', '10.0.0.5', '10.0.0.5:', '10.0.0.5:65536', '10.0.0.5:9464x'],
    ...['0.0.0.0:9464', '[::]:9464', 'fd00::5:9464', '[10.0.0.5]:9464', 'node-1:9464'],
    ...['[0::0]:9464', '[0:0:0:0:0:0:0:0]:9464', '[::ffff:0.0.0.0]:9464'],
  ].map((text) => [text, undefined] as const),
] as const)('%p is where %p', (text, endpoint) => {
  expect(ownEndpoint(text)).toEqual(endpoint);
});
