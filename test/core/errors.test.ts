import { describe, expect, test } from 'bun:test';
import {
  AgentError,
  assertNever,
  ERROR_CODES,
  expectedError,
  isErrorCode,
  messageOf,
  toAgentError,
} from '../../src/core/errors.ts';

describe('AgentError', () => {
  test('carries code, text, hint, cause and details', () => {
    const cause = new Error('connect ECONNREFUSED');
    const error = new AgentError('CONTROL_PLANE_UNREACHABLE', 'Cannot reach "https://cp"', {
      hint: 'Check the network',
      cause,
      details: { url: 'https://cp' },
    });

    expect({
      isError: error instanceof Error,
      name: error.name,
      code: error.code,
      message: error.message,
      hint: error.hint,
      cause: error.cause,
      details: error.details,
      exitCode: error.exitCode,
      retryable: error.retryable,
    }).toEqual({
      isError: true,
      name: 'AgentError',
      code: 'CONTROL_PLANE_UNREACHABLE',
      message: 'Cannot reach "https://cp"',
      hint: 'Check the network',
      cause,
      details: { url: 'https://cp' },
      exitCode: 6,
      retryable: true,
    });
  });

  test('has no own cause when none was given', () => {
    expect(Object.hasOwn(new AgentError('BUSY', 'Busy', { hint: 'Look' }), 'cause')).toBeFalse();
  });

  test('asks for a hint, but where nobody can do anything about it', () => {
    // @ts-expect-error: the compiler refuses what would leave its reader alone.
    const refused = () => new AgentError('BUSY', 'Busy');
    // @ts-expect-error: the same beside other options.
    const refusedToo = () => new AgentError('BUSY', 'Busy', { cause: refused });
    expect(refusedToo().hint).toBeUndefined();
    expect(new AgentError('INTERRUPTED', 'Interrupted').hint).toBeUndefined();
    expect(new AgentError('COMMAND_CANCELLED', 'Cancelled').hint).toBeUndefined();
    expect(new AgentError('INTERNAL', 'x').hint).toStartWith('This is a bug in pipeops-agent');
  });

  test('gives every code an exit code that a shell can tell from success', () => {
    const outOfRange = ERROR_CODES.filter((code) => {
      const { exitCode } = new AgentError(code, 'x', { hint: 'Look' });
      return !Number.isInteger(exitCode) || exitCode < 1 || exitCode > 255;
    });
    expect(outOfRange).toEqual([]);
  });

  test('never exits with 11, the answer of `check`, for anything but a failed check', () => {
    const codes = ERROR_CODES.filter(
      (code) => new AgentError(code, 'x', { hint: 'Look' }).exitCode === 11,
    );
    expect(codes).toEqual(['CHECK_FAILED']);
  });
});

describe('isErrorCode()', () => {
  test('knows every code of the table', () => {
    expect(ERROR_CODES.filter((code) => !isErrorCode(code))).toEqual([]);
  });

  test.each(['', 'internal', 'NO_SUCH_CODE', 'toString', '__proto__'])('refuses %j', (code) => {
    expect(isErrorCode(code)).toBeFalse();
  });
});

describe('toAgentError()', () => {
  test('gives an AgentError back as it is', () => {
    const error = new AgentError('BUSY', 'Another install is running', { hint: 'Look' });
    expect(toAgentError(error)).toBe(error);
  });

  test.each([
    ['a foreign error', new TypeError('x is undefined'), 'x is undefined'],
    ['a thrown text', 'no error at all', 'no error at all'],
    ['nothing', undefined, 'undefined'],
  ])('makes %s an INTERNAL error with its text and a hint', (_, thrown, message) => {
    const error = toAgentError(thrown);
    expect({ code: error.code, message: error.message, cause: error.cause }).toEqual({
      code: 'INTERNAL',
      message,
      cause: thrown,
    });
    expect(error.hint).toContain('report it');
  });
});

describe('expectedError()', () => {
  test('gives a failure back as it is', () => {
    const error = new AgentError('TIMEOUT', 'No answer', { hint: 'Look' });
    expect(expectedError(error)).toBe(error);
  });

  test.each([
    ['a foreign error', new TypeError('x is undefined')],
    ['an INTERNAL error', new AgentError('INTERNAL', 'Unexpected value 1')],
  ])('throws %s on: it is a bug', (_, bug) => {
    expect(() => expectedError(bug)).toThrow(bug);
  });
});

describe('messageOf()', () => {
  test('gives the message of an error and the text of anything else', () => {
    expect([messageOf(new Error('boom')), messageOf('text'), messageOf(null)]).toEqual([
      'boom',
      'text',
      'null',
    ]);
  });
});

describe('assertNever()', () => {
  test('throws INTERNAL and names the value that no branch expected', () => {
    // What untyped input could bring about, past the compiler.
    const unexpected = { kind: 'new' } as never;
    expect(() => assertNever(unexpected)).toThrow(
      new AgentError('INTERNAL', 'Unexpected value {"kind":"new"}'),
    );
  });
});
