/** Labels, annotations, groups and kinds are spelled once: core/labels.ts and core/kinds.ts. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';
import { KINDS, pathOfKind, pathOfObject, typeOf } from '../../src/core/kinds.ts';

const SOURCES = join(import.meta.dir, '../../src');

/** Lines of code below src, without those that are a comment, that match. */
async function linesWith(pattern: RegExp, exceptIn: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of new Glob('**/*.ts').scan(SOURCES)) {
    if (!exceptIn.some((each) => path.startsWith(each))) {
      const lines = (await Bun.file(join(SOURCES, path)).text()).split('\n');
      const code = lines.filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
      found.push(...code.filter((line) => pattern.test(line)).map((line) => `${path}: ${line}`));
    }
  }
  return found;
}

test('no label or annotation is spelled outside of its list', async () => {
  const spelled = /['"`][^'"`]*\b(pipeops|kubernetes|k8s)\.io\/[^'"`]*['"`]/;
  expect(await linesWith(spelled, ['core/labels.ts', 'core/kinds.ts'])).toEqual([]);
});

test('no group, version or path of a kind is spelled outside of its list', async () => {
  // Subprotocols of WebSockets are named alike: v4.channel.k8s.io, bearer.authorization.k8s.io.<token>
  const spelled =
    /\b(?!channel)[a-z]+\.k8s\.io(?!\.)|apiVersion: '|\/apis\/|['"`]\/api\/v1\/(nodes|namespaces|pods|services|events)\b/;
  expect(await linesWith(spelled, ['core/kinds.ts'])).toEqual([]);
});

test('paths of kinds and objects are those of the API', () => {
  expect([
    pathOfKind(KINDS.node),
    pathOfKind(KINDS.pod, 'shop'),
    pathOfObject(KINDS.deployment, { namespace: 'shop', name: 'web' }),
    pathOfObject(KINDS.namespace, { name: 'shop' }),
    pathOfKind(KINDS.tcpRoute),
  ]).toEqual([
    '/api/v1/nodes',
    '/api/v1/namespaces/shop/pods',
    '/apis/apps/v1/namespaces/shop/deployments/web',
    '/api/v1/namespaces/shop',
    '/apis/gateway.networking.k8s.io/v1alpha2/tcproutes',
  ]);
  expect(typeOf(KINDS.eviction)).toEqual({ apiVersion: 'policy/v1', kind: 'Eviction' });
});
