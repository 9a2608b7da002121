import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';
import type { ClusterStatus } from '../protocol/rest.ts';

/** Text gathered before it is handed on, characters. */
const PIECE_CHARS = 64 * 1024;

/**
 * A ClusterStatus as JSON, in pieces and without blocking: the text of a large cluster takes
 * hundreds of milliseconds to make, and never exists as a whole.
 */
export async function* statusJson(
  deps: { readonly clock: Clock },
  status: ClusterStatus,
): AsyncGenerator<string> {
  const { nodes, namespaces, deployments, services, pods, metrics, timestamp } = status;
  const budget = loopBudget(deps);
  let piece = '{';
  for (const [name, rows] of Object.entries({ nodes, namespaces, deployments, services, pods })) {
    piece += `${JSON.stringify(name)}:${rows === null ? 'null' : '['}`;
    let separator = '';
    for (const row of rows ?? []) {
      piece += `${separator}${JSON.stringify(row)}`;
      separator = ',';
      if (piece.length >= PIECE_CHARS) {
        yield piece;
        piece = '';
      }
      if (budget.spent()) {
        await budget.rest();
      }
    }
    piece += `${rows === null ? '' : ']'},`;
  }
  const metricsText = JSON.stringify(metrics);
  yield `${piece}"metrics":${metricsText},"timestamp":${JSON.stringify(timestamp)}}`;
}
