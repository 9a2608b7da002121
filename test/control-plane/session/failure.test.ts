import { expect, test } from 'bun:test';
import { failureOf, SessionError } from '../../../src/control-plane/session/failure.ts';
import { AgentError } from '../../../src/core/errors.ts';

test.each([
  [
    { kind: 'answered', status: 503, retryAfterMs: 2_000 },
    { status: 503, retryAfterMs: 2_000 },
  ],
  [{ kind: 'answered', status: 401, atGateway: true }, { status: 401 }],
  [{ kind: 'nobody-there' }, undefined],
  [{ kind: 'cut-off' }, undefined],
] as const)('an error of the session carries its failure: %j', (failure, details) => {
  const error = new SessionError('CONTROL_PLANE_ERROR', 'no', failure, { hint: 'Look' });
  expect(failureOf(error)).toEqual(failure);
  expect(error.details).toEqual(details);
});

test('details of another error decide nothing', () => {
  const details = { cutOff: true, unreachable: true, status: 401 };
  const error = new AgentError('CONTROL_PLANE_ERROR', 'no', { hint: 'Look', details });
  expect(failureOf(error)).toEqual({ kind: 'other' });
});
