import type { DocumentName, JsonDocument } from '../../protocol/json-documents.ts';
import type { CliContext } from '../definition/context.ts';
import { jsonDocument, type Told } from '../terminal/json-document.ts';

export function tell<Name extends DocumentName>(
  context: CliContext,
  asJson: boolean,
  document: Told<JsonDocument<Name>>,
  text: string,
): void {
  context.io.stdout(asJson ? jsonDocument<Name>(document) : text);
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
