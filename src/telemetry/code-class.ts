/** `2xx` of 204; `none` where there was no answer. */
export function codeClass(status: number | undefined): string {
  return status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
}
