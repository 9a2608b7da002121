export interface BoundedText {
  readonly text: string;
  /** False when the body was longer than the limit. */
  readonly isWhole: boolean;
}

/**
 * The body of an answer as text, or only its beginning when it is too long. The length that the
 * answer announces is not trusted.
 * @param came told of each piece
 */
export async function textUpTo(
  response: Response,
  limitBytes: number,
  came: (bytes: number) => void = () => undefined,
): Promise<BoundedText> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    came(chunk.length);
    chunks.push(chunk.subarray(0, limitBytes - length));
    length += chunk.length;
    if (length > limitBytes) {
      break; // Leaving the loop discards the rest of the body.
    }
  }
  return { text: Buffer.concat(chunks).toString('utf8'), isWhole: length <= limitBytes };
}

/** The whole body of an answer as text; undefined when it is longer. */
export async function textWithin(
  response: Response,
  limitBytes: number,
): Promise<string | undefined> {
  const { text, isWhole } = await textUpTo(response, limitBytes);
  return isWhole ? text : undefined;
}
