/**
 * An iterable as the body of a request, or for a transformer: each piece is made when it is wanted.
 * (`ReadableStream.from` is this, and no type here knows it.)
 */
export function readableOf<T>(pieces: AsyncIterable<T>): ReadableStream<T> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<T>({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done === true) {
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
    cancel: async () => {
      await iterator.return?.();
    },
  });
}
