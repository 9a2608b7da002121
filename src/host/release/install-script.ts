import type { ReleaseKeys } from '../../core/release-keys.ts';

/**
 * install.sh with the keys by which it knows releases; without keys it stays as it is.
 * @param text of install.sh as it stands in the sources, where it has none
 */
export function installScriptWith(
  text: string,
  { roots, oldest_key, purpose }: ReleaseKeys,
): string {
  const values: Readonly<Record<string, string>> = {
    RELEASE_ROOTS: `'${roots.join(' ')}'`,
    RELEASE_KEY_OLDEST: String(oldest_key),
    RELEASE_PURPOSE: purpose,
  };
  return text.replace(
    /^(RELEASE_ROOTS|RELEASE_KEY_OLDEST|RELEASE_PURPOSE)=.*$/gm,
    (_, name: string) => `${name}=${values[name]}`,
  );
}
