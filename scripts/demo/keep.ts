/** Leaves a demo running until somebody ends it. */
import type { Stand } from '../../test/e2e/stand.ts';
import type { Machine } from '../../test/vm/machine.ts';
import { forgetDemo, rememberDemo } from './kept-demo.ts';

/** What systemd-nspawn ends with when its machine wants to be started again. */
const REBOOT_EXIT_CODE = 133;

/** Resolves when it is to end: Ctrl-C or SIGTERM. */
export async function keepRunning(
  stand: Stand,
  agentId: string,
  say: (text: string) => void,
): Promise<void> {
  const { machines } = stand.lab;
  await rememberDemo({
    pid: process.pid,
    machines: Object.fromEntries(machines.map(({ name, group }) => [name, group])),
  });
  say(howToUse(stand, agentId));
  let ending = false;
  for (const machine of machines) {
    void bootAgain(machine, say, () => ending);
  }
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve());
    }
  });
  ending = true;
  await forgetDemo();
}

/** Ends when the machine is off for good. */
export async function bootAgain(
  machine: Machine,
  say: (text: string) => void,
  ending: () => boolean,
): Promise<void> {
  for (;;) {
    const code = await machine.ended();
    if (ending()) {
      return;
    }
    if (code !== REBOOT_EXIT_CODE) {
      say(`${machine.name} is off, and stays so.`);
      return;
    }
    say(`${machine.name} is rebooting …`);
    try {
      await machine.start();
    } catch (error) {
      if (!ending()) {
        say(`${machine.name} does not come back: ${error}`);
      }
      return;
    }
    say(`${machine.name} is up again.`);
  }
}

function howToUse(stand: Stand, agentId: string): string {
  const commands = `${stand.adminUrl()}/admin/agents/${agentId}/commands`;
  const scale = { type: 'scale', payload: { name: 'web', namespace: 'default', replicas: 3 } };
  const shells = stand.lab.machines.map(({ name }) => `  ./scripts/demo.sh shell ${name}`);
  return `
All of it keeps running. Copy a line:

A shell on a machine (there: pipeops-agent status, k3s kubectl get pods -A, systemctl reboot)
${shells.join('\n')}

A command for the agent, and what became of it
  curl -sS ${commands} -d '${JSON.stringify(scale)}'
  curl -sS ${commands}

The fleet, in a browser (left: stopped or uninstalled; down: gone without a word)
  ${stand.adminUrl()}/

To stop it and clean up, press Ctrl-C here, or
  kill ${process.pid}
`;
}
