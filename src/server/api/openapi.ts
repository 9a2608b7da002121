import { answerSchema, paramsSchema } from '../../protocol/json-schema.ts';
import { type OpenApiAnswer, Problem } from '../../protocol/local-status.ts';
import type { DocumentedRoute } from './route.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly description?: string;
  readonly schema: object;
}

/** The routes as OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1). */
export function openApi(routes: readonly DocumentedRoute[], version: string): OpenApiAnswer {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'pipeops-agent',
      version,
      description: 'The local API of the agent: on 127.0.0.1 and on its socket.',
    },
    servers: [{ url: 'http://127.0.0.1:8080' }],
    paths,
    components: {
      schemas: { Problem: answerSchema(Problem) },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The local token. The socket asks for none.',
        },
      },
    },
  };
}

function operation(route: DocumentedRoute): object {
  const content = contentOf(route);
  const answers = [200, ...route.otherStatuses].map((status) => [
    String(status),
    { description: route.summary, content },
  ]);
  return {
    summary: route.summary,
    ...(route.access === 'token' ? { security: [{ token: [] }] } : {}),
    parameters: parametersOf(route),
    responses: { ...Object.fromEntries(answers), default: PROBLEM_ANSWER },
  };
}

function contentOf({ format, answer }: DocumentedRoute): object {
  const schema = answerSchema(answer);
  switch (format) {
    case 'json':
      return { 'application/json': { schema } };
    case 'text':
      return { 'text/plain': { schema } };
    case 'events':
      return { 'text/event-stream': { schema: eventSchema(schema) } };
  }
}

/** Of each event, in the way of OpenAPI 3.2: its data is text, which holds JSON. */
function eventSchema({ oneOf = [] }: { readonly oneOf?: readonly EventShape[] }): object {
  return {
    oneOf: oneOf.map(({ description, properties: { event, data } }) => ({
      type: 'object',
      description,
      properties: {
        id: { type: 'string' },
        event,
        data: { type: 'string', contentMediaType: 'application/json', contentSchema: data },
      },
      required: ['event', 'data'],
    })),
  };
}

/** How an event stands in a union of them. */
interface EventShape {
  readonly description?: string;
  readonly properties: { readonly event: object; readonly data: object };
}

const PROBLEM_ANSWER = {
  description: 'A refusal or an error; `code` is explained in docs/TROUBLESHOOTING.md.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

export function parametersOf({ path, params }: DocumentedRoute): readonly Parameter[] {
  const { properties = {}, required = [] } = paramsSchema(params) as {
    readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => {
    const place = path.includes(`{${name}}`) ? 'path' : 'query';
    const told = description === undefined ? {} : { description };
    return { name, in: place, required: required.includes(name), ...told, schema };
  });
}
