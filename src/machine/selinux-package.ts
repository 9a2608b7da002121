/**
 * Whether the rules of k3s can be installed where SELinux is enforcing: looked for before anything is changed,
 * because k3s' installer fails half way without them.
 */
import { AgentError, expectedError } from '../core/errors.ts';
import type { ExecResult } from '../core/ports.ts';
import { selinuxPolicy } from '../host/checks/security-modules.ts';
import type { Command } from '../host/engine/resource.ts';
import { type Distribution, distribution } from '../host/facts/distribution.ts';
import { factsOf, type Subject } from '../host/facts/fact.ts';
import { packageTool } from '../host/facts/package-tool.ts';
import { securityModules } from '../host/facts/security-modules.ts';
import type { MachineContext } from './context.ts';
import { factDeps } from './fact-deps.ts';
import { IGNORE_VARIABLE, ignoredChecks } from './ignored-checks.ts';

const PACKAGE = 'k3s-selinux';
/** With the lists of packages over a slow line. */
const TIMEOUT_MS = 120_000;
/** Where k3s' installer takes it from, by system (k3s, "install.sh", setup_selinux). */
const PACKAGES_URL = 'https://rpm.rancher.io/k3s/stable/common';
/** What dnf says when all is found and its question is answered with no. */
const WOULD_INSTALL = /operation aborted|nothing to do|is already installed/i;

/**
 * @param isAsked false where nothing is fetched, or nothing may be: a bundle, a dry run
 * @returns whether k3s is to be installed without them, because a person has said so
 * @throws AgentError HOST_UNSUPPORTED where they cannot be installed and nobody has said what then
 */
export async function skipsSelinuxPackage(
  context: MachineContext,
  subject: Pick<Subject, 'k3sRole' | 'config'>,
  isAsked: boolean,
): Promise<boolean> {
  const facts = factsOf(factDeps(context, { role: 'bare', ...subject }));
  const { selinux, hasK3sPolicy } = await facts(securityModules);
  if (selinux !== 'enforcing' || hasK3sPolicy) {
    return false;
  }
  if (ignoredChecks(context.env[IGNORE_VARIABLE]).includes(selinuxPolicy.id)) {
    return true;
  }
  const command = dryRun(await facts(packageTool), await facts(distribution));
  if (command === undefined || !isAsked) {
    return false;
  }
  const progress = await context.progress("Look for k3s' rules for SELinux");
  const why = whyNot(await answerOf(context, command));
  if (why === undefined) {
    progress.done();
    return false;
  }
  progress.fail();
  throw new AgentError(
    'HOST_UNSUPPORTED',
    `SELinux is enforcing, and its rules for k3s cannot be installed: ${why}`,
    {
      hint:
        `Let this machine reach ${PACKAGES_URL} and the packages of its distribution (container-selinux), or ` +
        `install ${PACKAGE} by hand. To go without them: set SELinux to permissive (sudo setenforce 0, and ` +
        `SELINUX=permissive in /etc/selinux/config), or take it upon yourself with ` +
        `${IGNORE_VARIABLE}=${selinuxPolicy.id}`,
      details: { argv: [...command] },
    },
  );
}

/** What only looks; undefined where the package manager has nothing like it, as that of an image. */
function dryRun(
  tool: 'rpm-ostree' | 'transactional-update' | 'zypper' | 'dnf',
  system: Distribution,
): Command | undefined {
  switch (tool) {
    case 'zypper':
    case 'transactional-update': {
      const url = `${PACKAGES_URL}/${system.id === 'sle-micro' ? 'slemicro' : 'microos'}/noarch`;
      const source = ['--no-gpg-checks', '--plus-repo', url];
      return ['zypper', '--non-interactive', ...source, 'install', '--dry-run', PACKAGE];
    }
    case 'dnf': {
      const url = `${PACKAGES_URL}/centos/${majorOf(system)}/noarch`;
      const source = [`--repofrompath=${PACKAGE},${url}`, `--setopt=${PACKAGE}.gpgcheck=0`];
      return ['dnf', '--assumeno', ...source, 'install', PACKAGE];
    }
    case 'rpm-ostree':
      return undefined;
  }
}

/** Fedora and others with numbers of their own get what was made for version 8, as in k3s' installer. */
function majorOf({ version }: Distribution): string {
  const major = Number.parseInt(version, 10);
  if (Number.isNaN(major) || major === 7) {
    return '7';
  }
  return major === 8 || major > 36 ? '8' : '9';
}

/** Undefined where nobody can say: then k3s' installer tries it. */
async function answerOf(
  { exec, signal }: MachineContext,
  command: Command,
): Promise<ExecResult | undefined> {
  try {
    return await exec.run(command, { timeoutMs: TIMEOUT_MS, signal });
  } catch (thrown) {
    const { code } = expectedError(thrown);
    if (code === 'TOOL_MISSING' || code === 'TIMEOUT') {
      return undefined;
    }
    throw thrown;
  }
}

/** Its last line that says something; undefined where it would be installed. */
function whyNot(answer: ExecResult | undefined): string | undefined {
  if (answer === undefined || answer.exitCode === 0) {
    return undefined;
  }
  const text = `${answer.stdout}\n${answer.stderr}`;
  const lines = text.split('\n').map((line) => line.trim());
  return WOULD_INSTALL.test(text)
    ? undefined
    : (lines.filter((line) => line !== '').at(-1) ?? `it ended with ${answer.exitCode}`);
}
