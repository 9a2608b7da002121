import { describe, expect, test } from 'bun:test';
import { requireAllowed } from '../../src/policy/decision.ts';
import { effectivePolicy } from '../../src/policy/effective.ts';
import { policyOf } from '../../src/policy/evaluate.ts';
import { PolicyFile } from '../../src/protocol/files/policy.ts';
import { failureOf } from '../support/failure-of.ts';

const hintOf = async (file: object, request: { type: string; namespace?: string }) => {
  const policy = policyOf(effectivePolicy(PolicyFile.parse(file)));
  return (await failureOf(async () => requireAllowed(policy.command(request)))).hint;
};

describe('a refusal names the command that allows what it refuses', () => {
  test.each([
    ['exec', {}, 'exec', 'policy apply --preset operate, or by "exec: true" in a policy'],
    [
      'a change',
      { preset: 'read-only' },
      'deploy',
      'sudo pipeops-agent policy apply --preset standard',
    ],
    [
      'what the file refuses',
      { commands: { deny: ['deploy'] } },
      'deploy',
      'without the rule "file/commands.deny[0]"',
    ],
    [
      'exec by the file',
      { preset: 'operate', exec: false },
      'exec',
      'without the rule "file/exec"',
    ],
  ])('%s', async (_, file, type, text) => {
    expect(await hintOf(file, { type, namespace: 'shop' })).toContain(text);
  });

  test('and says so where no policy allows it', async () => {
    const hint = await hintOf({}, { type: 'deploy', namespace: 'kube-system' });
    expect(hint).toBe(
      "No policy allows it: these namespaces are the cluster's and the agent's own. " +
        'What is allowed here: pipeops-agent policy show',
    );
  });
});
