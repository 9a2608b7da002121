/** @returns undefined for a text that is not JSON, which the caller's schema then refuses */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
