import type { DocumentName, JsonDocument } from '../../protocol/json-documents.ts';

/** As it is told: nobody changes it any more. */
export type Told<T> = T extends readonly (infer Each)[]
  ? readonly Told<Each>[]
  : T extends object
    ? { readonly [Key in keyof T]: Told<T[Key]> | (undefined extends T[Key] ? undefined : never) }
    : T;

/** What a subcommand prints with `--json`: the compiler knows what docs/CLI.md has promised. */
export function jsonDocument<Name extends DocumentName>(
  document: Told<JsonDocument<Name>>,
): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
