import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';
import { type ParsedJson, parseBoundedJson } from '../../protocol/bounded-json.ts';
import { parseLongJson, SHORT_JSON_CHARS_MAX } from '../../protocol/long-json.ts';

/** When more characters than this wait behind a long message, reading from the socket pauses. */
export const WAITING_CHARS_MAX = 8 * 1024 * 1024;

interface TextReaderDeps {
  readonly clock: Clock;
  /** Nothing more is read from the socket until `resume`. */
  readonly pause: () => void;
  readonly resume: () => void;
}

/**
 * Reads the texts of one connection in their order. A long text is read in slices, and other work
 * runs between them; texts that come meanwhile wait behind it.
 * @param take what was read, and how many characters it had
 */
export function textReader(
  deps: TextReaderDeps,
  take: (json: ParsedJson, chars: number) => void,
  gone: AbortSignal,
): (text: string) => void {
  const waiting: string[] = [];
  let waitingChars = 0;
  let isReading = false;
  let isPaused = false;
  const bound = () => {
    const isMuch = waitingChars > WAITING_CHARS_MAX;
    if (isMuch !== isPaused) {
      isPaused = isMuch;
      (isMuch ? deps.pause : deps.resume)();
    }
  };
  const readOn = async () => {
    const budget = loopBudget(deps);
    for (let text = waiting.shift(); text !== undefined; text = waiting.shift()) {
      waitingChars -= text.length;
      const json = await parseLongJson(deps, text);
      if (gone.aborted) {
        break;
      }
      take(json, text.length);
      bound();
      if (budget.spent()) {
        await budget.rest();
      }
    }
    waiting.length = 0;
    isReading = false;
  };
  return (text) => {
    if (!isReading && text.length <= SHORT_JSON_CHARS_MAX) {
      take(parseBoundedJson(text), text.length);
      return;
    }
    waiting.push(text);
    waitingChars += text.length;
    bound();
    if (!isReading) {
      isReading = true;
      void readOn();
    }
  };
}
