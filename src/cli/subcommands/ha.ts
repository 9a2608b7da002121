import { AgentError } from '../../core/errors.ts';
import { hasK3s } from '../../host/cluster/adopted-k3s.ts';
import { openInventory } from '../../host/engine/inventory.ts';
import { DRY_RUN_FLAG, JSON_FLAG, PROGRESS_FILE_FLAG } from '../definition/common-flags.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { INSTALL_FLAGS, runInstall } from './install.ts';

const { 'server-address': serverAddress, 'tls-san': tlsSan } = settingFlags();

export const haEnableSubcommand = defineSubcommand({
  name: 'ha enable',
  description:
    "Moves this server's data to etcd, so that further servers can join: the same as install --ha. It restarts k3s, and there is no way back.",
  example: 'sudo pipeops-agent ha enable --server-address k8s.example.com',
  flags: {
    'server-address': serverAddress,
    'tls-san': tlsSan,
    'progress-file': PROGRESS_FILE_FLAG,
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    if (!hasK3s(await openInventory(context), 'server')) {
      throw new AgentError('NOT_A_SERVER', 'This machine is not a server of a cluster', {
        hint: 'Make it one that begins with etcd: sudo pipeops-agent install --ha',
      });
    }
    const { adopt, undo, yes } = INSTALL_FLAGS;
    const unasked = { adopt: adopt.default, undo: undo.default, yes: yes.default };
    return await runInstall(context, { ...unasked, ...flags, ha: true });
  },
});
