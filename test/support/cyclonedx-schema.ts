/** The schema of CycloneDX, from the npm package of its makers, by the validator that they use. */
import { join } from 'node:path';
import * as z from 'zod';
import { buildOnce } from '../vm/cache.ts';
import { runCommand } from '../vm/host-command.ts';

const FETCH_TIMEOUT_MS = 120_000;
/** Exact: the cache is kept by this name. */
const PACKAGES = ['@cyclonedx/cyclonedx-library@10.3.0', 'ajv@8.20.0', 'ajv-formats@3.0.1'];
/** In a process of its own: the packages are none of ours. */
const VALIDATE = `
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
const schemas = 'node_modules/@cyclonedx/cyclonedx-library/res/schema/';
const read = (name) => Bun.file(schemas + name + '.SNAPSHOT.schema.json').json();
const [bom, spdx, jsf] = await Promise.all(['bom-1.6', 'spdx', 'jsf-0.82'].map(read));
const ajv = new Ajv({ strict: false, allErrors: true, addUsedSchema: false });
addFormats.default(ajv);
ajv.addFormat('iri-reference', true).addFormat('idn-email', true);
const at = (name) => 'http://cyclonedx.org/schema/' + name + '.SNAPSHOT.schema.json';
ajv.addSchema(spdx, at('spdx')).addSchema(jsf, at('jsf-0.82'));
const validate = ajv.compile(bom);
validate(await Bun.stdin.json());
console.log(JSON.stringify((validate.errors ?? []).map((e) => e.instancePath + ': ' + e.message)));
`;

/** @returns what is wrong with a bill, a line each; empty where it follows CycloneDX 1.6 */
export async function billProblems(text: string): Promise<readonly string[]> {
  const cwd = await buildOnce('cyclonedx-schema-10.3.0', async (directory) => {
    await Bun.write(join(directory, 'package.json'), '{"type":"module"}\n');
    await runCommand([process.execPath, 'add', '--exact', ...PACKAGES], {
      cwd: directory,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
  });
  const child = Bun.spawn([process.execPath, '-e', VALIDATE], {
    cwd,
    stdin: Buffer.from(text),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  return z.array(z.string()).parse(await child.stdout.json());
}
