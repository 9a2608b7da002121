import { expect, test } from 'bun:test';
import { parseRegistryMirror } from '../../src/config/registry-mirrors.ts';

test.each([
  ['mirror.example', 'docker.io', 'https://mirror.example'],
  ['mirror.example:5000/', 'docker.io', 'https://mirror.example:5000'],
  ['https://mirror.example/v2/hub', 'docker.io', 'https://mirror.example/v2/hub'],
  ['docker.io=https://mirror.example', 'docker.io', 'https://mirror.example'],
  ['registry.example:5000=http://[::1]:5001', 'registry.example:5000', 'http://[::1]:5001'],
  ['*=mirror.example', '*', 'https://mirror.example'],
])('%s is a mirror of %s at %s', (text, registry, endpoint) => {
  expect(parseRegistryMirror(text)).toEqual({ registry, endpoint });
});

test.each([
  '',
  'docker.io=',
  '=https://mirror.example',
  'docker.io=ftp://mirror.example',
  'https://user:secret@mirror.example',
  'https://:secret@mirror.example',
  'docker.io=user:secret@mirror.example',
  'docker.io=https://mirror.example?a=b',
  'a b=https://mirror.example',
  '-x=https://mirror.example',
  'docker.io',
  'docker.io=docker.io',
  'hub',
])('"%s" is no mirror', (text) => {
  expect(parseRegistryMirror(text)).toBeUndefined();
});
