/** What may stand behind the name of a subcommand, and the types of the values that come of it. */
import type { StringArgDef } from 'citty';

interface OurFlagDefinition {
  readonly description: string;
  /** The values that help and completion offer. The subcommand itself refuses others. */
  readonly values?: readonly string[];
  /** One letter: `f` for `-f`. */
  readonly short?: string;
  /** May be given several times; the values are joined by commas. */
  readonly repeatable?: boolean;
}

/** A flag, as citty's parser takes it, with what help, docs and completion need in addition. */
export type FlagDefinition = OurFlagDefinition &
  (
    | Readonly<Pick<StringArgDef, 'valueHint' | 'default'> & { type: 'string' }>
    // With the default it is a switch; without it, "not given" differs from "no".
    | { readonly type: 'boolean'; readonly default?: false; readonly valueHint?: never }
  );

export type FlagDefinitions = Readonly<Record<string, FlagDefinition>>;

/** A word that is not a flag: `ID` of `token revoke ID`. */
export interface WordDefinition {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  /** The values that help and completion offer. The subcommand itself refuses others. */
  readonly values?: readonly string[];
}

type FlagValue<Flag extends FlagDefinition> = Flag['type'] extends 'boolean' ? boolean : string;
type WithDefault<Flags extends FlagDefinitions> = {
  [Name in keyof Flags]: Flags[Name] extends { readonly default: string | false } ? Name : never;
}[keyof Flags];
type Required<Words extends readonly WordDefinition[]> = Extract<
  Words[number],
  { readonly required: true }
>;

/**
 * Given flags by name. A flag that was not given is absent, unless its definition has a default.
 */
export type FlagValues<Flags extends FlagDefinitions> = {
  readonly [Name in Exclude<keyof Flags, WithDefault<Flags>>]?: FlagValue<Flags[Name]>;
} & { readonly [Name in WithDefault<Flags>]: FlagValue<Flags[Name]> };

export interface SubcommandArgs<
  Flags extends FlagDefinitions = FlagDefinitions,
  Words extends readonly WordDefinition[] = readonly WordDefinition[],
> {
  readonly flags: FlagValues<Flags>;
  /** The other words by their name in the definition. */
  readonly words: { readonly [Word in Required<Words> as Word['name']]: string } & {
    readonly [Word in Exclude<Words[number], Required<Words>> as Word['name']]?: string;
  };
}
