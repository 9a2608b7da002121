import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import { ApiRefusal, isRefusedWith } from '../../../src/kubernetes/api/refusal.ts';

test('a refusal carries what is decided by, and tells it to machines', () => {
  const told = { status: 422, reason: 'Invalid', causes: ['spec.a: is required'] };
  const refusal = new ApiRefusal('KUBERNETES_API', 'Kubernetes refused it', told, 'Look');
  const { code, message, hint, details, status, reason, causes } = refusal;
  expect({ code, message, hint, details, status, reason, causes }).toEqual({
    ...{ code: 'KUBERNETES_API', message: 'Kubernetes refused it', hint: 'Look' },
    details: told,
    ...told,
  });
  expect(isRefusedWith(422, refusal)).toBe(true);
  expect(isRefusedWith(409, refusal)).toBe(false);
});

test('details that only look like a refusal decide nothing', () => {
  const other = new AgentError('KUBERNETES_API', 'no', { hint: 'Look', details: { status: 422 } });
  expect(isRefusedWith(422, other)).toBe(false);
});
