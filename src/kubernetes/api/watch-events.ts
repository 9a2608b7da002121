import { AgentError } from '../../core/errors.ts';
import { troubleOf } from '../../core/trouble.ts';
import { ANSWER_HINT } from './request.ts';

/** Longest line of a watch, characters: etcd takes objects of up to 1.5 MiB. */
const WATCH_LINE_LIMIT_CHARS = 8 * 1024 * 1024;

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/**
 * The events of a watch, one a line (kubernetes.io, "Efficient detection of changes"). Text after
 * the last newline when the stream ends is dropped: the server died in the middle of it.
 * @throws AgentError KUBERNETES_API when the connection breaks, a line is too long or is not JSON
 */
export async function* watchEvents<T>(
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<WatchEvent<T>> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of expectTrouble(path, body)) {
    const text = decoder.decode(chunk, { stream: true });
    let from = 0;
    // Only the new text is searched: a long line in many pieces costs no more than a short one.
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      const line = rest + text.slice(from, end);
      rest = '';
      from = end + 1;
      yield parseEvent<T>(path, line);
    }
    rest += text.slice(from);
    if (rest.length > WATCH_LINE_LIMIT_CHARS) {
      throw new AgentError('KUBERNETES_API', `Cannot follow ${path}: an event is too long`, {
        hint: 'Look for the object with megabytes of data, and keep them elsewhere',
      });
    }
  }
}

/** The same bytes; a connection that breaks is an AgentError like that of any request. */
export async function* expectTrouble(
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (thrown) {
    if (thrown instanceof AgentError) {
      throw thrown; // A rejection, or a break that has been told already.
    }
    const text = `The connection broke while Kubernetes answered ${path}: ${troubleOf(thrown)}`;
    throw new AgentError('KUBERNETES_API', text, { hint: ANSWER_HINT, cause: thrown });
  }
}

function parseEvent<T>(path: string, line: string): WatchEvent<T> {
  try {
    // The API server is trusted for the shapes of its own objects.
    return JSON.parse(line) as WatchEvent<T>;
  } catch (thrown) {
    throw new AgentError('KUBERNETES_API', `Cannot follow ${path}: an event is not JSON`, {
      hint: ANSWER_HINT,
      cause: thrown,
    });
  }
}
