import { AgentError } from '../../src/core/errors.ts';

/**
 * The AgentError that `work` ends with, for a test to compare. Anything else that is thrown is
 * thrown on; an end without an error is one.
 */
export async function failureOf(work: () => unknown): Promise<AgentError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      return thrown;
    }
    throw thrown;
  }
  throw new Error('It was expected to fail with an AgentError, and did not fail');
}
