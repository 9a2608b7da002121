/** The beginning of a list that is too long to be read at once. */
import { loopBudget } from '../core/loop-budget.ts';
import type { Clock } from '../core/ports.ts';

/** Characters that are looked at before others may run. */
const STRETCH_CHARS = 256 * 1024;
/** Items are in an array in the outermost object. */
const ITEM_DEPTH = 2;
const LIST_END = ']}';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING: readonly number[] = [0x5b, 0x7b];
const CLOSING: readonly number[] = [0x5d, 0x7d];

/**
 * Turns `{"commands":[{…},{…},{…` into `{"commands":[{…},{…}]}`; other work runs meanwhile.
 * @returns undefined when no item has ended
 */
export async function firstItems(
  deps: { readonly clock: Clock },
  text: string,
): Promise<string | undefined> {
  const budget = loopBudget(deps);
  let depth = 0;
  let inString = false;
  let end = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      at += code === BACKSLASH ? 1 : 0;
      inString = code !== QUOTE;
    } else if (code === QUOTE) {
      inString = true;
    } else if (OPENING.includes(code)) {
      depth += 1;
    } else if (CLOSING.includes(code)) {
      depth -= 1;
      end = depth === ITEM_DEPTH ? at + 1 : end;
    }
    if (at % STRETCH_CHARS === 0 && budget.spent()) {
      await budget.rest();
    }
  }
  return end === 0 ? undefined : `${text.slice(0, end)}${LIST_END}`;
}
