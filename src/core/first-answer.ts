/**
 * Asks at each address in turn until one answers.
 * @throws what the first one failed with
 */
export async function firstAnswer<T>(
  [first, ...others]: readonly [string, ...string[]],
  ask: (url: string) => Promise<T>,
): Promise<T> {
  try {
    return await ask(first);
  } catch (thrown) {
    for (const url of others) {
      const answer = await ask(url).then(
        (value) => ({ value }),
        () => undefined,
      );
      if (answer !== undefined) {
        return answer.value;
      }
    }
    throw thrown;
  }
}
