import { expect, test } from 'bun:test';
import { DEFAULT_PLACES } from '../../../src/core/places.ts';
import { removeUnfinishedFiles } from '../../../src/host/engine/unfinished-files.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { tempDirectory } from '../../support/temp-dir.ts';

const UNIT = '/etc/systemd/system/pipeops-agent.service';
const ID = '0123abcd-0123-4abc-8abc-0123456789ab';

async function removeBeside(names: readonly string[], directories: readonly string[] = []) {
  await using root = await tempDirectory();
  const files = systemFiles(root.path);
  const at = (name: string) => `/etc/systemd/system/${name}`;
  for (const name of directories) {
    await files.makeDirectory(at(name), { mode: 0o755 });
  }
  for (const name of names) {
    await files.makeDirectory('/etc/systemd/system', { mode: 0o755 });
    await files.writeAtomic(at(name), 'half', { mode: 0o644 });
  }
  const deps = { files, places: DEFAULT_PLACES };
  await removeUnfinishedFiles(deps, [], { entries: () => [{ kind: 'unit', name: UNIT }] });
  return await files.list('/etc/systemd/system');
}

test('what was written beside a file of ours goes, and nothing that is called otherwise', async () => {
  const others = [
    'pipeops-agent.service',
    `.pipeops-agent.service.${ID}`,
    `.pipeops-agent.service.${ID}.tmp2`,
    `.pipeops-agent.service.x${ID}.tmp`,
    `.other.service.${ID}.tmp`,
    `pipeops-agent.service.${ID}.tmp`,
  ];
  expect(await removeBeside([...others, `.pipeops-agent.service.${ID}.tmp`])).toEqual(
    others.toSorted(),
  );
});

test('a directory that is called so stays, and holds up nothing', async () => {
  const name = `.pipeops-agent.service.${ID}.tmp`;
  expect(await removeBeside([], [name])).toEqual([name]);
});
