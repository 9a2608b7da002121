/** @returns undefined for what is no JSON: the schema of what is read refuses it */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
