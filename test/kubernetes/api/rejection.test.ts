import { expect, test } from 'bun:test';
import { AgentError } from '../../../src/core/errors.ts';
import { ApiRejection, isRejectedWith } from '../../../src/kubernetes/api/rejection.ts';

test('a rejection carries what is decided by, and tells it to machines', () => {
  const told = { status: 422, reason: 'Invalid', causes: ['spec.a: is required'] };
  const rejection = new ApiRejection('KUBERNETES_API', 'Kubernetes refused it', told, 'Look');
  const { code, message, hint, details, status, reason, causes } = rejection;
  expect({ code, message, hint, details, status, reason, causes }).toEqual({
    ...{ code: 'KUBERNETES_API', message: 'Kubernetes refused it', hint: 'Look' },
    details: told,
    ...told,
  });
  expect(isRejectedWith(422, rejection)).toBe(true);
  expect(isRejectedWith(409, rejection)).toBe(false);
});

test('details that only look like a rejection decide nothing', () => {
  const other = new AgentError('KUBERNETES_API', 'no', { hint: 'Look', details: { status: 422 } });
  expect(isRejectedWith(422, other)).toBe(false);
});
