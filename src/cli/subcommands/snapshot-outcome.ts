import type { CliContext } from '../definition/context.ts';

export function tell(context: CliContext, asJson: boolean, document: object, text: string): void {
  context.io.stdout(asJson ? `${JSON.stringify(document, null, 2)}\n` : text);
}

/** Shows that something is going on, and how it ended. */
export async function shown<T>(
  context: CliContext,
  title: string,
  work: (update: (text: string) => void) => Promise<T>,
): Promise<T> {
  const progress = await context.progress(title);
  try {
    const result = await work(progress.update);
    progress.done();
    return result;
  } catch (thrown) {
    progress.fail();
    throw thrown;
  }
}
