import { AgentError } from '../../core/errors.ts';
import { ANSWER_HINT } from './request.ts';
import { expectTrouble } from './watch-events.ts';

/** Longest object or envelope, characters: etcd takes objects of up to 1.5 MiB. */
const ITEM_LIMIT_CHARS = 8 * 1024 * 1024;
/** Items are the objects in the list's own array: inside of one object and one array. */
const ITEM_DEPTH = 2;

/** What a page of a list says beside its items. */
export interface PageEnd {
  /** Where a watch goes on from. */
  readonly version: string;
  /** Where the next page begins; undefined at the end. */
  readonly next: string | undefined;
}

/**
 * Reads one page of a list and hands its objects on one by one, as their bytes come: neither the
 * page nor its text is ever in memory as a whole, and the event loop is never held for more than
 * one object, whatever the page is like.
 * @throws AgentError KUBERNETES_API when the connection breaks or the answer is not a list
 */
export async function readListPage<T>(
  path: string,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onItem: (object: T) => void | Promise<void>,
): Promise<PageEnd> {
  const decoder = new TextDecoder();
  const splitter = itemSplitter(path);
  for await (const chunk of expectTrouble(path, body)) {
    for (const item of splitter.feed(decoder.decode(chunk, { stream: true }))) {
      // The API server is trusted for the shapes of its own objects.
      await onItem(parse(path, item) as T);
    }
  }
  const envelope = parse(path, splitter.envelope()) as {
    readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  };
  const { resourceVersion = '', continue: next = '' } = envelope.metadata ?? {};
  return { version: resourceVersion, next: next === '' ? undefined : next };
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new AgentError('KUBERNETES_API', `Cannot list ${path}: the answer is not JSON`, {
      hint: ANSWER_HINT,
      cause: thrown,
    });
  }
}

interface ItemSplitter {
  /** Takes the next text in. @returns the items that it completes */
  feed(text: string): Generator<string>;
  /** After the end: the list without its items, `{"kind":"PodList","metadata":{…},"items":[]}`. */
  envelope(): string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Cuts the text of a list into its items and the rest, by counting brackets outside of strings. */
function itemSplitter(path: string): ItemSplitter {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let inList = false;
  let inItem = false;
  /** What came so far of the item that is not complete yet. */
  let item = '';
  let envelope = '';

  const keep = (text: string) => {
    if (inItem) {
      item += text;
    } else if (!(inList && /^[\s,]*$/.test(text))) {
      envelope += text; // All text except what is between two items.
    }
    if (item.length + envelope.length > ITEM_LIMIT_CHARS) {
      throw new AgentError('KUBERNETES_API', `Cannot list ${path}: an object is too long`, {
        hint: 'Look for the object with megabytes of data, and keep them elsewhere',
      });
    }
  };

  return {
    feed: function* (text) {
      let from = 0;
      for (let index = 0; index < text.length; index += 1) {
        const code = text.charCodeAt(index);
        if (inString) {
          inString = escaped || code !== QUOTE;
          escaped = !escaped && code === BACKSLASH;
        } else if (code === QUOTE) {
          inString = true;
        } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
          if (depth === ITEM_DEPTH && inList) {
            keep(text.slice(from, index));
            inItem = true;
            from = index;
          }
          inList ||= depth === ITEM_DEPTH - 1 && code === OPEN_BRACKET;
          depth += 1;
        } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
          depth -= 1;
          inList &&= depth >= ITEM_DEPTH;
          if (depth === ITEM_DEPTH && inItem) {
            yield item + text.slice(from, index + 1);
            item = '';
            inItem = false;
            from = index + 1;
          }
        }
      }
      keep(text.slice(from));
    },
    envelope: () => envelope,
  };
}
