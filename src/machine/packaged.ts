/** An agent that came as a package of the system: the package manager alone changes and removes its program. */
import { AgentError } from '../core/errors.ts';
import { DEFAULT_PLACES, PACKAGED_PLACES } from '../core/places.ts';
import { PACKAGE_COMMANDS } from '../host/agent/package-commands.ts';
import { type AgentPackageTool, readAgentPackage } from '../host/facts/agent-package.ts';
import type { MachineContext } from './context.ts';

/**
 * @throws AgentError INSTALLED_OTHERWISE where a package has brought the agent, with the command of what has
 *   installed it
 */
export async function refusePackaged(
  context: MachineContext,
  wish: 'upgrade' | 'downgrade',
): Promise<void> {
  const tool = await readAgentPackage(context);
  if (tool !== undefined || context.places.isPackaged) {
    throw new AgentError('INSTALLED_OTHERWISE', cameBy(tool), { hint: changeHint(tool, wish) });
  }
}

/**
 * A package and install.sh on one machine would take each other's units.
 * @throws AgentError INSTALLED_OTHERWISE
 */
export async function refuseOtherInstallation(context: MachineContext): Promise<void> {
  const { files, places } = context;
  const tool = places.isPackaged ? undefined : await readAgentPackage(context);
  if (tool !== undefined) {
    const use = `Use that one: sudo ${PACKAGED_PLACES.executableLink}`;
    const hint = `${use}. For a newer version: ${PACKAGE_COMMANDS[tool].upgrade}`;
    throw new AgentError('INSTALLED_OTHERWISE', cameBy(tool), { hint });
  }
  const { executableLink, versionsDirectory } = DEFAULT_PLACES;
  const isLink = (await files.stat(executableLink))?.kind === 'link';
  const target = isLink ? await files.readLink(executableLink) : undefined;
  if (places.isPackaged && target?.startsWith(`${versionsDirectory}/`)) {
    throw new AgentError('INSTALLED_OTHERWISE', "This machine's agent came by install.sh", {
      hint:
        `Use that one: sudo ${executableLink}. To go over to the package, end it first: ` +
        `sudo ${executableLink} uninstall --keep-k3s --keep-data`,
    });
  }
}

/** What is left to a person after `uninstall`: the program itself. */
export async function packageLines(context: MachineContext): Promise<readonly string[]> {
  if (!context.places.isPackaged) {
    return [];
  }
  const tool = await readAgentPackage(context);
  const command = tool === undefined ? ANY_MANAGER : PACKAGE_COMMANDS[tool].remove;
  return [`The package pipeops-agent stays. To remove it too: ${command}`];
}

/** How a person goes back to the version before. */
export async function downgradeHint(context: MachineContext): Promise<string> {
  return changeHint(await readAgentPackage(context), 'downgrade');
}

/** Where neither dpkg nor rpm answers. */
const ANY_MANAGER = 'the package manager that has installed it';

function cameBy(tool: AgentPackageTool | undefined): string {
  const manager = tool === undefined ? 'a package' : tool === 'apt-get' ? 'apt' : tool;
  return `This machine's agent came by ${manager}`;
}

function changeHint(tool: AgentPackageTool | undefined, wish: 'upgrade' | 'downgrade'): string {
  return tool === undefined ? `Use ${ANY_MANAGER}` : `Run: ${PACKAGE_COMMANDS[tool][wish]}`;
}
