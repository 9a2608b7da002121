/** Lets through a firewall what a node needs, and closes it again. */
import { AgentError } from '../../core/errors.ts';
import type { Places } from '../../core/places.ts';
import type { Exec, Files } from '../../core/ports.ts';
import type { HostInventory } from '../engine/inventory.ts';
import type { Command, Removal, Resource } from '../engine/resource.ts';
import { type FirewallRule, firewalldWords } from './rule.ts';

const TIMEOUT_MS = 30_000;

interface Deps {
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * Each rule is for good and at once; nothing is loaded anew, as that would drop what others have told
 * firewalld for now only. A rule that is there already is its owner's, and stays as it is: also one that
 * is there for now only.
 * @param wanted those to be made now
 */
export function firewallOpening(
  deps: Deps,
  inventory: HostInventory,
  wanted: readonly FirewallRule[],
): Resource {
  const missing = async () => {
    const found = await Promise.all(wanted.map((rule) => whereIs(deps, rule)));
    return wanted.flatMap((rule, index) => {
      const there = found[index];
      return there === undefined || there.now ? [] : [{ rule, isLasting: there.lasting }];
    });
  };
  const made = inventory.entries().filter(isRule);
  return {
    id: 'firewall-rules',
    title: 'Open the firewall for this node',
    touches: wanted.map(words),
    entries: made,
    isWanted: wanted.length > 0,
    isDone: async () => (await missing()).length === 0,
    apply: async () => {
      for (const { rule, isLasting } of await missing()) {
        // One that lasts has only not been loaded yet: whoever made it, it stays theirs.
        if (!isLasting) {
          await inventory.record(rule);
        }
        await add(deps, rule);
      }
    },
    changes: async () =>
      (await missing()).map(({ rule }) => ({ action: 'create', target: words(rule) })),
    commands: async () => (await missing()).flatMap(({ rule }) => adding(rule)),
    undo: async ({ keepK3s }) =>
      keepK3s ? [] : made.toReversed().map((rule) => removal(deps, rule)),
  };
}

function isRule(entry: { readonly kind: string }): entry is FirewallRule {
  return entry.kind === 'ufw-rule' || entry.kind === 'firewalld-rule';
}

/** `ufw allow from 10.42.0.0/16` */
function words({ kind, name }: FirewallRule): string {
  return `${kind === 'ufw-rule' ? 'ufw' : 'firewalld'} ${name}`;
}

/** In what is let through now, and in what will be after the next start. Of ufw both are one. */
interface Whereabouts {
  readonly now: boolean;
  readonly lasting: boolean;
}

async function whereIs(deps: Deps, rule: FirewallRule): Promise<Whereabouts> {
  if (rule.kind === 'ufw-rule') {
    const { stdout } = await deps.exec.run(['ufw', 'show', 'added'], { timeoutMs: TIMEOUT_MS });
    const isThere = stdout.split('\n').includes(`ufw ${rule.name}`);
    return { now: isThere, lasting: isThere };
  }
  const has = async (span: 'now' | 'lasting') => {
    const query = firewalldCommand(span, 'query', rule);
    return (await deps.exec.run(query, { timeoutMs: TIMEOUT_MS })).exitCode === 0;
  };
  const [now, lasting] = await Promise.all([has('now'), has('lasting')]);
  return { now, lasting };
}

async function add(deps: Deps, rule: FirewallRule): Promise<void> {
  for (const command of adding(rule)) {
    await run(deps, command);
  }
}

/** A run that is killed in between leaves a rule of firewalld that is still missing, and is made by the next. */
function adding(rule: FirewallRule): readonly Command[] {
  return rule.kind === 'ufw-rule'
    ? [['ufw', ...rule.name.split(' ')]]
    : [firewalldCommand('lasting', 'add', rule), firewalldCommand('now', 'add', rule)];
}

function removing(rule: FirewallRule): readonly Command[] {
  return rule.kind === 'ufw-rule'
    ? [['ufw', '--force', 'delete', ...rule.name.split(' ')]]
    : [firewalldCommand('now', 'remove', rule), firewalldCommand('lasting', 'remove', rule)];
}

function removal(deps: Deps, rule: FirewallRule): Removal {
  return {
    title: `Close the firewall again: ${words(rule)}`,
    changes: [{ action: 'remove', target: words(rule) }],
    commands: removing(rule),
    entries: [rule],
    run: async () => await remove(deps, rule),
  };
}

/** A firewall that somebody has taken away has taken its rules along. */
async function remove(deps: Deps, rule: FirewallRule): Promise<void> {
  try {
    if (rule.kind === 'ufw-rule') {
      await run(deps, ['ufw', '--force', 'delete', ...rule.name.split(' ')]);
      return;
    }
    const state = await deps.exec.run(['firewall-cmd', '--state'], { timeoutMs: TIMEOUT_MS });
    const isOn = state.exitCode === 0;
    for (const span of isOn ? (['now', 'lasting'] as const) : (['off'] as const)) {
      const query = firewalldCommand(span, 'query', rule);
      if ((await deps.exec.run(query, { timeoutMs: TIMEOUT_MS })).exitCode === 0) {
        await run(deps, firewalldCommand(span, 'remove', rule));
      }
    }
  } catch (thrown) {
    if (!(thrown instanceof AgentError) || thrown.code !== 'TOOL_MISSING') {
      throw thrown;
    }
  }
}

/** @param span `off`: in its files, while it does not run */
function firewalldCommand(
  span: 'now' | 'lasting' | 'off',
  action: 'query' | 'add' | 'remove',
  rule: FirewallRule,
): Command {
  const { zone, what, value } = firewalldWords(rule);
  const order = [`--zone=${zone}`, `--${action}-${what}=${value}`];
  switch (span) {
    case 'now':
      return ['firewall-cmd', ...order];
    case 'lasting':
      return ['firewall-cmd', '--permanent', ...order];
    case 'off':
      return ['firewall-offline-cmd', ...order];
  }
}

/** @throws AgentError TOOL_FAILED, TOOL_MISSING */
async function run({ exec }: Deps, argv: Command): Promise<void> {
  const { exitCode, stdout, stderr } = await exec.run(argv, { timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError(
      'TOOL_FAILED',
      `${argv.join(' ')} failed: ${(stderr || stdout).trim() || `it ended with ${exitCode}`}`,
      {
        hint: 'Correct what it says, then run the same command again',
        details: { argv: [...argv], exit: exitCode },
      },
    );
  }
}
