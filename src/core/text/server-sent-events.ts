/** Server-sent events as a client reads them (html.spec.whatwg.org, "Parsing an event stream"). */

export interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** @throws Error when an event is longer than the limit */
export async function* serverSentEvents(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  lengthMax: number,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const bytes of source) {
    const blocks = (held + decoder.decode(bytes, { stream: true })).split('\n\n');
    held = blocks.pop() ?? '';
    if (held.length > lengthMax) {
      throw new Error(`an event is longer than ${lengthMax} characters`);
    }
    for (const block of blocks) {
      const event = eventIn(block);
      if (event.data !== '') {
        yield event;
      }
    }
  }
}

/** Our own streams have one line of data an event; comments have none. */
function eventIn(block: string): ServerSentEvent {
  const fields: Record<string, string> = {};
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ');
    if (colon > 0) {
      fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
  }
  const { id = '', event = '', data = '' } = fields;
  return { id, event, data };
}
