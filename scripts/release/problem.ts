/** What a person who makes a release did wrong, or what must not go out: told without a stack. */
export class ReleaseProblem extends Error {
  override readonly name = 'ReleaseProblem';
}
