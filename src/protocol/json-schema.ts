/** Schemas of the local API as JSON Schema (draft 2020-12), for documents. */
import * as z from 'zod';

type Schema = Readonly<Record<string, unknown>>;

/** Of what comes in. */
export function paramsSchema(params: z.ZodObject): Schema {
  return z.toJSONSchema(params, { io: 'input' });
}

/** Of what goes out: it may have more fields in a later version. */
export function answerSchema(answer: z.ZodType): Schema {
  const { $schema: _, ...schema } = z.toJSONSchema(answer, {
    io: 'output',
    override: ({ jsonSchema }) => {
      if (jsonSchema.properties !== undefined) {
        delete jsonSchema.additionalProperties; // Of a record they say what it has.
      }
      if (jsonSchema.format !== undefined) {
        delete jsonSchema.pattern; // The format says it in a word.
      }
    },
  });
  return schema;
}
