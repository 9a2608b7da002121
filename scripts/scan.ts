/**
 * Looks for what must not be released: `bun scripts/scan.ts` with
 *   secrets [DIRECTORY]  keys and tokens in the files (.gitleaks.toml says what is none)
 *   workflows            faults in .github/workflows
 *   dependencies         packages with known holes (asks the npm registry)
 *   image DIRECTORY      an image layout with known holes (Trivy downloads its database)
 * Ends with another code than 0 when something was found. All but `dependencies` need Go.
 */
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..');
/** Checksums are verified by Go's public log of modules. */
const TOOLS = {
  gitleaks: 'github.com/zricethezav/gitleaks/v8@v8.30.1',
  actionlint: 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12',
  trivy: 'github.com/aquasecurity/trivy/cmd/trivy@v0.74.0',
} as const;

function commandFor(word: string, directory: string | undefined): readonly string[] | undefined {
  switch (word) {
    case 'secrets': {
      const config = ['--config', join(ROOT, '.gitleaks.toml'), '--redact=70', '--no-banner'];
      return ['go', 'run', TOOLS.gitleaks, 'dir', ...config, '--verbose', directory ?? '.'];
    }
    case 'workflows':
      return ['go', 'run', TOOLS.actionlint, '-color'];
    case 'dependencies':
      return [process.execPath, 'audit', '--audit-level=high'];
    case 'image': {
      const serious = ['--severity', 'HIGH,CRITICAL', '--ignore-unfixed', '--exit-code', '1'];
      return directory === undefined
        ? undefined
        : ['go', 'run', TOOLS.trivy, 'image', ...serious, '--input', directory];
    }
    default:
      return undefined;
  }
}

const [word = '', directory] = process.argv.slice(2);
const argv = commandFor(word, directory);
if (argv === undefined) {
  console.error(
    'Usage: bun scripts/scan.ts secrets [DIRECTORY] | workflows | dependencies | image DIRECTORY',
  );
  process.exit(2);
}
const child = Bun.spawn([...argv], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
process.exitCode = await child.exited;
