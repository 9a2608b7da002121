import { AgentError } from '../core/errors.ts';
import type { WorkElsewhere } from '../core/ports.ts';

/** Where the files of a compiled executable seem to be. */
const COMPILED_ROOT = '/$bunfs/root/';

/**
 * For work that cannot be divided and would block the event loop. Its memory is freed as a whole.
 */
export const workElsewhere: WorkElsewhere = async <Answer>(
  module: string,
  request: unknown,
  signal: AbortSignal,
): Promise<Answer> => {
  const interrupted = () => new AgentError('INTERRUPTED', 'The work was interrupted');
  if (signal.aborted) {
    throw interrupted();
  }
  const worker = new Worker(urlOf(module));
  const answer = Promise.withResolvers<Answer>();
  const failed = (why: string) =>
    answer.reject(new AgentError('INTERNAL', `The thread of ${module} failed: ${why}`));
  const stop = () => answer.reject(interrupted());
  signal.addEventListener('abort', stop, { once: true });
  worker.onmessage = ({ data }) => answer.resolve(data);
  worker.onerror = ({ message }) => failed(message);
  worker.addEventListener('close', () => failed('it ended without an answer'));
  try {
    worker.postMessage(request);
    return await answer.promise;
  } finally {
    signal.removeEventListener('abort', stop);
    worker.terminate();
  }
};

function urlOf(module: string): string {
  return Bun.main.startsWith(COMPILED_ROOT)
    ? `${COMPILED_ROOT}${module}.js`
    : new URL(`../${module}.ts`, import.meta.url).href;
}
