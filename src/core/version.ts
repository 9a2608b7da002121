declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;
declare const BUILD_COMMITTED_AT: string | undefined;

export interface BuildInfo {
  readonly version: string;
  /** Short git hash, `unknown` when run from source. */
  readonly commit: string;
  /** When that commit was made; undefined when run from source, or where nobody knew. */
  readonly committedAt: Date | undefined;
}

/** Set by scripts/build.ts with `--define`; from source there is none of it. */
export const BUILD: BuildInfo = {
  version: typeof BUILD_VERSION === 'string' ? BUILD_VERSION : '0.0.0-dev',
  commit: typeof BUILD_COMMIT === 'string' ? BUILD_COMMIT : 'unknown',
  committedAt:
    typeof BUILD_COMMITTED_AT === 'string' && BUILD_COMMITTED_AT !== ''
      ? new Date(BUILD_COMMITTED_AT)
      : undefined,
};

/** What `pipeops-agent version` prints. */
export const VERSION_LINE = `pipeops-agent ${BUILD.version} (${BUILD.commit})\n`;
