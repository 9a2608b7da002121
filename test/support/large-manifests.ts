/** Manifests as large projects publish them. */

const WORDS =
  'The maximum number of pods that can be unavailable during the update. Value can be an absolute number (ex: 5) or a percentage of desired pods. More info: https://kubernetes.io/docs/concepts'.split(
    ' ',
  );
const DESCRIPTION_LINES = 3;
const WORDS_A_LINE = 11;
const FIELDS = ['field0Name', 'field1Name', 'field2Name', 'field3Name', 'field4Name'];

/** A CustomResourceDefinition with nested schemas and descriptions, of at least so many bytes of YAML. */
export function definitionYaml(bytes: number): string {
  const lines = [
    'apiVersion: apiextensions.k8s.io/v1',
    'kind: CustomResourceDefinition',
    'metadata: {name: giants.test.pipeops.io}',
    'spec:',
    '  group: test.pipeops.io',
    '  scope: Namespaced',
    '  names: {plural: giants, singular: giant, kind: Giant}',
    '  versions:',
    '  - name: v1',
    '    served: true',
    '    storage: true',
    '    schema:',
    '      openAPIV3Schema:',
    '        type: object',
    '        properties:',
    '          spec:',
    '            type: object',
    '            properties:',
  ];
  let size = lines.join('\n').length;
  for (let part = 0; size < bytes; part += 1) {
    const added = [`              part${part}:`, ...schemaLines(16, 3, part)];
    size += added.reduce((sum, line) => sum + line.length + 1, 0);
    lines.push(...added);
  }
  return `${lines.join('\n')}\n`;
}

function schemaLines(indent: number, depth: number, seed: number): readonly string[] {
  const space = ' '.repeat(indent);
  const described = [`${space}description: |-`, ...descriptionLines(indent + 2, seed)];
  if (depth === 0) {
    return [...described, `${space}type: ${['string', 'integer', 'boolean'][seed % 3]}`];
  }
  const fields = FIELDS.flatMap((name, index) => [
    `${space}  ${name}:`,
    ...schemaLines(indent + 4, depth - 1, seed + index),
  ]);
  return [
    ...described,
    `${space}type: object`,
    `${space}properties:`,
    ...fields,
    `${space}required:`,
    `${space}- ${FIELDS[0]}`,
  ];
}

function descriptionLines(indent: number, seed: number): readonly string[] {
  return Array.from({ length: DESCRIPTION_LINES }, (_, line) => {
    const words = Array.from(
      { length: WORDS_A_LINE },
      (__, word) => WORDS[(seed * 7 + line * 13 + word * 3) % WORDS.length],
    );
    return `${' '.repeat(indent)}${words.join(' ')}`;
  });
}

const CONFIG_MAP_LINES = 500;

/** ConfigMaps `large-0` and on, of up to so many bytes of YAML. */
export function configMapsYaml(bytes: number): string {
  const documents: string[] = [];
  for (let size = 0; ; ) {
    const number = documents.length;
    const lines = Array.from(
      { length: CONFIG_MAP_LINES },
      (_, line) => `    "setting.${line}" = "${WORDS[(line * number) % WORDS.length]}: $VALUE, é"`,
    );
    const document = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large-${number}}\ndata:\n  config.toml: |\n${lines.join('\n')}\n`;
    size += Buffer.byteLength(document) + 4;
    if (size > bytes) {
      return documents.join('---\n');
    }
    documents.push(document);
  }
}
