/** Writes docs/config.md from the schema of the settings: `bun scripts/docs.ts`. */
import { join } from 'node:path';
import { describeSettings } from '../src/config/describe.ts';
import { CONFIG_PATH } from '../src/config/schema.ts';

/** The page as the schema says it; a test compares it with the file. */
export function configPage(): string {
  const rows = describeSettings().map((setting) => {
    const { flag, env, description } = setting.meta;
    const usual = setting.default === undefined ? '' : `\`${JSON.stringify(setting.default)}\``;
    const names = [
      flag === undefined ? '' : `\`--${flag}\``,
      env === undefined ? '' : `\`${env}\``,
    ];
    const cells = [`\`${setting.path}\``, ...names, usual, description.replaceAll('|', '\\|')];
    return `| ${cells.join(' | ')} |`;
  });
  return `# Settings

Flags go before environment variables, those before the file \`${CONFIG_PATH}\`, that before the
defaults. \`sudo pipeops-agent config show\` tells the value of each, where it came from and whether it is
in force; \`sudo pipeops-agent config validate\` names every problem at once, also of the files that the
agent reads beside it. No secret is a setting. After a change
of the file: \`sudo systemctl restart pipeops-agent\`.

A key that is not in this list is ignored and told as a warning with its line: by both subcommands,
\`status\` and the log. It may be a mistake, or a setting of a newer version, which uses it again; what
writes the file leaves it there. A value that a setting cannot have is an error.

| setting | flag | variable | default | meaning |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

if (import.meta.main) {
  await Bun.write(join(import.meta.dir, '../docs/config.md'), configPage());
}
