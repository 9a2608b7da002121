/**
 * Which variables of the environment count. The runtime reads many by itself, and some of them
 * would undo what the product promises: no certificate checked (NODE_TLS_REJECT_UNAUTHORIZED=0),
 * tokens printed (BUN_CONFIG_VERBOSE_FETCH), a debugger's port opened (BUN_INSPECT).
 */

/** Variables of the runtime, by how they begin. */
const RUNTIME_PREFIXES = ['BUN_', 'NODE_', 'JSC_'];
/** Variables of ours that begin like the runtime's. */
const OWN_NAMES = ['NODE_TYPE'];
/**
 * The runtime would send every request through this proxy, even those to this machine and to the
 * cluster. Where a proxy is wanted, we pass it on ourselves.
 */
const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'];

/** The part of `process` that this needs. */
export interface OwnProcess {
  readonly env: Record<string, string | undefined>;
  readonly argv: readonly string[];
  readonly execPath: string;
  execve?(file: string, args: readonly string[], env: Record<string, string>): never;
}

/**
 * Takes the variables of the runtime out of the environment. What the runtime has already read at
 * its start can only be undone by starting again: this program then replaces itself, with the same
 * process id and the same streams.
 * @param script path of the program's main file; undefined in the compiled executable
 * @returns all variables, the proxies among them, as they were given
 */
export function ownEnvironment(
  process: OwnProcess,
  script: string | undefined,
): Readonly<Record<string, string | undefined>> {
  const given = { ...process.env };
  const foreign = Object.keys(given).filter(isOfRuntime);
  if (foreign.length > 0) {
    const env = Object.fromEntries(
      Object.entries(given).filter(
        (entry): entry is [string, string] => entry[1] !== undefined && !isOfRuntime(entry[0]),
      ),
    );
    const words = process.argv.slice(2);
    const args = script === undefined ? words : [script, ...words];
    process.execve?.(process.execPath, [process.execPath, ...args], env);
  }
  for (const name of [
    ...foreign,
    ...PROXY_NAMES,
    ...PROXY_NAMES.map((each) => each.toLowerCase()),
  ]) {
    delete process.env[name];
  }
  return given;
}

function isOfRuntime(name: string): boolean {
  return RUNTIME_PREFIXES.some((prefix) => name.startsWith(prefix)) && !OWN_NAMES.includes(name);
}
