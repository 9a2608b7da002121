/** No text of the system, the network or the runtime reaches a person: the sources are looked through. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Glob } from 'bun';

const SOURCE = join(import.meta.dir, '../../src');

/** Who may show the text of what was thrown as it is, and why. */
const AS_IT_IS: Readonly<Record<string, string>> = {
  'core/errors.ts': 'a bug: its own text is what a report needs',
  'core/trouble.ts': 'the place where it becomes ours',
  'core/network-trouble.ts': 'picks the names of a certificate out of it',
  'control-plane/credentials/authorization.ts': 'an error of ours: what is wrong with a token',
  'control-plane/websocket/dispatcher.ts': 'a bug, told to the log',
  'server/doors.ts': 'a bug, told to the log',
  'config/load.ts': 'a parser says where the mistake stands',
  'policy/read-file.ts': 'a parser says where the mistake stands',
  'commands/apply/documents.ts': 'a parser says where the mistake stands',
};

/**
 * How such a text is taken. What is `unknown` must be narrowed before its message can be read: to an
 * AgentError, which is ours, or to an Error, which is found here.
 */
const RAW_TEXTS = [
  /\bmessageOf\((?:thrown|cause|error|failure|damage)\)/,
  /instanceof Error\b[^\n]*\.message\b/,
  /: Error\b[^\n]*=>[^\n]*\.message\b/,
  /as Error\)\??\.message/,
  /String\((?:thrown|cause)\)[^\n]*(?:AgentError|reason|`)/,
];
/** There nothing but foreign errors is met. */
const RAW_IN_PLATFORM = /\b(?:error|thrown|cause)\??\.message\b/;

async function sources(): Promise<readonly (readonly [string, string])[]> {
  const paths = await Array.fromAsync(new Glob('**/*.ts').scan(SOURCE));
  return await Promise.all(
    paths.map(async (path) => [path, await Bun.file(join(SOURCE, path)).text()] as const),
  );
}

test('what was thrown is told through troubleOf() alone', async () => {
  const raw = (await sources()).filter(
    ([path, text]) =>
      !(path in AS_IT_IS) &&
      (RAW_TEXTS.some((pattern) => pattern.test(text)) ||
        (path.startsWith('platform/') && RAW_IN_PLATFORM.test(text))),
  );
  expect(raw.map(([path]) => path)).toEqual([]);
});
