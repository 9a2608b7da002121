import { describe, expect, test } from 'bun:test';
import { parseProxy, proxyFor } from '../../src/core/proxy-settings.ts';

const settings = (noProxy: string) => ({ url: 'http://proxy:3128', credentials: '', noProxy });

describe('parseProxy()', () => {
  test.each([
    ['http://proxy', '', { kind: 'http', host: 'proxy', port: 3128 }],
    ['http://proxy:80', '', { kind: 'http', host: 'proxy', port: 80 }],
    ['https://proxy', '', { kind: 'https', host: 'proxy', port: 443 }],
    ['socks5h://proxy', '', { kind: 'socks5', host: 'proxy', port: 1080 }],
    ['proxy:8080', '', { kind: 'http', host: 'proxy', port: 8080 }],
    ['http://[::1]:3128', '', { kind: 'http', host: '::1', port: 3128 }],
    [
      'http://proxy',
      'u:p:q',
      { kind: 'http', host: 'proxy', port: 3128, credentials: { user: 'u', password: 'p:q' } },
    ],
    [
      'http://u:p%40q@proxy',
      '',
      { kind: 'http', host: 'proxy', port: 3128, credentials: { user: 'u', password: 'p@q' } },
    ],
    [
      'http://u:50%25%off%@proxy',
      '',
      { kind: 'http', host: 'proxy', port: 3128, credentials: { user: 'u', password: '50%%off%' } },
    ],
    [
      'http://u:caf%e9@proxy',
      '',
      { kind: 'http', host: 'proxy', port: 3128, credentials: { user: 'u', password: 'caf%e9' } },
    ],
    ['ftp://proxy', '', undefined],
    ['http://', '', undefined],
  ])('reads %s with credentials "%s"', (text, credentials, expected) => {
    expect(parseProxy(text, credentials)).toEqual(expected as never);
  });
});

describe('proxyFor()', () => {
  test.each([
    ['https://api.example', '', true],
    ['https://api.example', 'example', false],
    ['https://api.example', '.example', false],
    ['https://api.example', '*.example', false],
    ['https://api.example', 'ample', true],
    ['https://api.example', 'other, api.example:443', false],
    ['https://api.example', 'api.example:8443', true],
    ['wss://api.example', 'API.EXAMPLE:443', false],
    ['https://10.1.2.3', '10.0.0.0/8', false],
    ['https://11.1.2.3', '10.0.0.0/8', true],
    ['https://api.example', '*', false],
    ['http://127.0.0.1:8080', '', false],
    ['http://localhost', '', false],
    ['http://[::1]', '', false],
    ['https://[fd00:77:1::a]:6443', 'fd00:77:1::a', false],
    ['https://[fd00:77:1::a]:6443', 'FD00:77:1:0::A', false],
    ['https://[fd00:77:1::a]:6443', '[fd00:77:1::a]', false],
    ['https://[fd00:77:1::a]:6443', '[fd00:77:1::a]:6443', false],
    ['https://[fd00:77:1::a]:6443', '[fd00:77:1::a]:443', true],
    ['https://[fd00:77:1::a]:6443', 'fd00:77::/32', false],
    ['https://[fd00:78:1::a]:6443', 'fd00:77::/32', true],
    ['https://[fd00:77:1::a]:6443', '10.0.0.0/8,fd00:77:1::', true],
    ['https://[2001:db8::1]', '::/0', false],
    ['https://10.0.0.1', '::/0', true],
  ])('%s with NO_PROXY "%s" goes through the proxy: %p', (address, noProxy, proxied) => {
    expect(proxyFor(new URL(address), settings(noProxy)) !== undefined).toBe(proxied);
  });
});
