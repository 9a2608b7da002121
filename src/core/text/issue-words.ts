/** Says what is wrong with a value in our own words: the library's speak of its own types. */

/** An issue as zod hands it to an error map, as far as it is read here. */
interface RawIssue {
  readonly code?: string | undefined;
  readonly expected?: unknown;
  readonly values?: unknown;
  readonly origin?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

const TYPES: Readonly<Record<string, string>> = {
  number: 'a whole number',
  int: 'a whole number',
  string: 'text',
  boolean: 'true or false',
  object: 'names with values',
  record: 'names with values',
  array: 'a list',
};
/** What is counted when a size is wrong. For a number, the value itself is compared. */
const COUNTED: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

/** For `safeParse`: undefined keeps the words of the schema or of the library. */
export function issueWords(issue: RawIssue): string | undefined {
  const counted = COUNTED[String(issue.origin)] ?? '';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[String(issue.expected)] ?? String(issue.expected)}`;
    case 'invalid_value':
      return Array.isArray(issue.values) ? `must be one of ${issue.values.join(', ')}` : undefined;
    case 'too_small':
      return `must be at least ${issue.minimum}${counted}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${counted}`;
    default:
      return undefined;
  }
}
