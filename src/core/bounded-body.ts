/** The whole body of an answer as text; undefined when it is longer, whatever it says of its length. */
export async function textWithin(
  response: Response,
  limitBytes: number,
): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > limitBytes) {
      return undefined; // The loop's end gives the rest of it up.
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
