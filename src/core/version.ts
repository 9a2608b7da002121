declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;

export interface BuildInfo {
  readonly version: string;
  /** Short git hash, `unknown` when run from source. */
  readonly commit: string;
}

/** Set by scripts/build.ts with `--define`; from source there is neither. */
export const BUILD: BuildInfo = {
  version: typeof BUILD_VERSION === 'string' ? BUILD_VERSION : '0.0.0-dev',
  commit: typeof BUILD_COMMIT === 'string' ? BUILD_COMMIT : 'unknown',
};

/** What `pipeops-agent version` prints. */
export const VERSION_LINE = `pipeops-agent ${BUILD.version} (${BUILD.commit})\n`;
