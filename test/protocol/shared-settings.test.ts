import { expect, test } from 'bun:test';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import { parseSharedPolicy, sharedPolicyText } from '../../src/protocol/files/shared-settings.ts';

test('a policy is told without what is as in its preset, and read as it was', () => {
  const policies = [
    PolicyFile.parse({}),
    PolicyFile.parse({ preset: 'operate' }),
    PolicyFile.parse({ exec: false, commands: { deny: ['drain'] }, namespaces: { allow: ['a'] } }),
  ];
  expect(policies.map((policy) => parseSharedPolicy(sharedPolicyText(policy)))).toEqual(policies);
  expect(policies.map(sharedPolicyText)).toEqual([
    '{"preset":"standard"}',
    '{"preset":"operate"}',
    '{"preset":"standard","commands":{"deny":["drain"]},"namespaces":{"allow":["a"],"deny":[]},"exec":false}',
  ]);
});

test('what is no policy is none', () => {
  expect([undefined, '', '{', '[]', '{"preset":"all"}', '{"a":1}'].map(parseSharedPolicy)).toEqual(
    Array.from({ length: 6 }, () => undefined),
  );
});
