/** What `--json` printed against what docs/CLI.md promises. */
import * as z from 'zod';
import { ErrorDocument, JSON_DOCUMENTS } from '../../src/protocol/json-documents.ts';

/** Of these each line is a document. */
const LINE_BY_LINE = ['logs', '--watch'];

/**
 * To be called with all that a subcommand printed.
 * @throws Error where it has a field that is not promised, or not one that is
 */
export function checkPromisedJson(words: readonly string[], stdout: string): void {
  const isDocument = words.includes('--json') && !words.includes('--help') && stdout !== '';
  const schema = schemaOf(words);
  if (!isDocument || schema === undefined) {
    return;
  }
  const isByLine = LINE_BY_LINE.some((each) => words.includes(each));
  for (const text of isByLine ? stdout.trimEnd().split('\n') : [stdout]) {
    const document: unknown = JSON.parse(text);
    const promised = [ErrorDocument, ...(schema instanceof z.ZodUnion ? schema.options : [schema])];
    if (!promised.some((each) => isExactly(each as z.ZodType, document))) {
      throw new Error(`"${words.join(' ')}" prints what is not promised: ${text}`);
    }
  }
}

function schemaOf([first = '', second = '']: readonly string[]): z.ZodType | undefined {
  const documents: Readonly<Record<string, z.ZodType>> = JSON_DOCUMENTS;
  return documents[`${first} ${second}`] ?? documents[first];
}

/** Reading leaves out what it does not know. */
function isExactly(schema: z.ZodType, document: unknown): boolean {
  const { data, success } = schema.safeParse(document);
  return success && Bun.deepEquals(data, document);
}
