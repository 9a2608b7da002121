import { expect, test } from 'bun:test';
import type { AccessRequest } from '../../src/policy/decision.ts';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { parsePolicyFile } from '../../src/policy/read-file.ts';
import { parseRequest } from '../../src/policy/request-path.ts';
import { seededRandom } from '../support/seeded-random.ts';

const SEED = 20_261_125;
const CASES = 100_000;

const PIECES = [
  ...['api', 'apis', 'v1', 'apps', 'watch', 'proxy', 'namespaces', 'nodes', 'pods', 'secrets'],
  ...['services', 'deployments', 'configmaps', 'exec', 'log', 'status', 'finalize', 'scale'],
  ...['shop', 'kube-system', 'pipeops-system', 'web', 'web:80', 'version', 'healthz', 'openapi'],
  ...['', '.', '..', '%2e%2e', '%2F', '%2f', '%5c', '\\', '%00', '%', '%zz', '%6Bube-system'],
  ...['é', ' ', ';', '?', '#', '*', '__proto__', 'constructor', '%25', '..%2f', 'A'.repeat(300)],
];
const STARTS = [
  '/api/v1',
  '/apis/apps/v1',
  '/api/v1/namespaces/shop',
  '/api/v1/namespaces',
  '',
  '/',
];
const QUERIES = [
  '',
  '?',
  '?watch=true',
  '?watch=0',
  '?watch',
  '?%77atch=1',
  '?a=b&watch=x',
  '?x=%',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', '__proto__'];

test('a path is never read otherwise than the API server reads it', () => {
  const random = seededRandom(SEED);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random.fraction() * items.length)];
    if (item === undefined) {
      throw new Error('nothing to pick from');
    }
    return item;
  };
  let allowed = 0;
  const operate = policyOf(effectivePolicy(parsePolicyFile('preset: operate', 'policy.yaml')));
  for (let round = 0; round < CASES; round += 1) {
    const words = Array.from({ length: Math.floor(random.fraction() * 6) }, () => pick(PIECES));
    const path = [pick(STARTS), ...words].join('/');
    const [method, query, upgrade] = [pick(METHODS), pick(QUERIES), random.fraction() < 0.2];
    const target = path + query;
    const label = `seed ${SEED}, round ${round}: ${method} ${target}`;
    const parsed = parseRequest(method, target, upgrade);
    if (parsed.kind === 'refused') {
      expect([label, operate.request(method, target, upgrade).allowed]).toEqual([label, false]);
      continue;
    }
    const server = asTheServerReads(method, target);
    if (parsed.kind === 'public') {
      expect([label, server]).toEqual([label, undefined]);
      continue;
    }
    const isStream = ['exec', 'attach', 'portforward'].includes(parsed.access.subresource);
    expect([label, parsed.access]).toEqual([
      label,
      { ...server, ...(isStream ? { verb: 'create' } : {}) } as AccessRequest,
    ]);
    allowed += operate.request(method, target, upgrade).allowed ? 1 : 0;
  }
  expect(allowed).toBeGreaterThan(CASES / 100);
});

/** Kubernetes' RequestInfoFactory.NewRequestInfo, on the decoded path; undefined: no resource. */
function asTheServerReads(method: string, target: string): AccessRequest | undefined {
  const [rawPath = '', query = ''] = target.split(/\?(.*)/s);
  // Behind `/proxy/` anything may stand; the server itself answers 400 to what cannot be decoded.
  const decodable = rawPath.replaceAll(/%(?![0-9a-f]{2})/gi, '%25');
  const path = decodeURIComponent(decodable).replace(/^\/+|\/+$/g, '');
  let parts = path === '' ? [] : path.split('/');
  if (parts.length < 3 || !['api', 'apis'].includes(parts[0] ?? '')) {
    return undefined;
  }
  const grouped = parts[0] === 'apis';
  if (grouped && parts.length < 4) {
    return undefined;
  }
  const group = grouped ? (parts[1] ?? '') : '';
  parts = parts.slice(grouped ? 3 : 2);
  const verbs: Record<string, string> = {
    POST: 'create',
    GET: 'get',
    HEAD: 'get',
    PUT: 'update',
    PATCH: 'patch',
    DELETE: 'delete',
  };
  let verb = verbs[method] ?? '';
  if (['watch', 'proxy'].includes(parts[0] ?? '')) {
    verb = parts[0] ?? '';
    parts = parts.slice(1);
  }
  let namespace = '';
  if (parts[0] === 'namespaces' && parts.length > 1) {
    if (parts.length > 2 && !['status', 'finalize'].includes(parts[2] ?? '')) {
      namespace = parts[1] ?? '';
      parts = parts.slice(2);
    }
  }
  const [resource = '', name = '', subresource = ''] = parts;
  if (name === '' && verb === 'get') {
    const watch = new URLSearchParams(query).get('watch');
    verb = watch === null || watch === 'false' || watch === '0' ? 'list' : 'watch';
  }
  if (name === '' && verb === 'delete') {
    verb = 'deletecollection';
  }
  return { verb, group, resource, subresource, namespace, name };
}

test('a typical question is answered in microseconds', () => {
  const narrow = policyOf(
    effectivePolicy(
      parsePolicyFile(
        'namespaces: {deny: ["bank-*"]}\nproxy: {paths: {deny: ["/apis/batch/*"]}}',
        'f',
      ),
    ),
  );
  const target = '/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=kubectl';
  const began = performance.now();
  const questions = 200_000;
  for (let round = 0; round < questions; round += 1) {
    narrow.request('GET', target, false);
  }
  const microseconds = ((performance.now() - began) * 1_000) / questions;
  console.log(`policy.request: ${microseconds.toFixed(2)} µs`);
  // The promise is 5 µs; the machine of a test may be busy.
  expect(microseconds).toBeLessThan(50);
});
