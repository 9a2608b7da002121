/**
 * Plays a recording as the server: says its lines when they are due, and fails on every
 * message of the agent that is not the next expected one, or has another shape.
 *
 * A transcript is one JSON object a line. `from`: who says it. Over the WebSocket: `connect` (path,
 * query and headers of the agent's dial; `status` of the server refuses it), a message (`type`,
 * `request_id`, `payload`), `close` (a close code). Over REST: `http` (method and path) with a
 * `body`, answered by the server's next line with a `status`. Lines of one path, and those of the
 * WebSocket, come in their order; between paths there is none. `repeat`: it may come any number of
 * times, now and later; over the WebSocket it is answered with `reply`.
 *
 * Values that differ from run to run are written `$string`, `$int`, `$number`, `$time`,
 * `$boolean`, `$object` or `$list`; `$name=…` gives a value a name, and `$name` stands for it.
 * A field whose name ends in `?` may be absent.
 */

export interface Line {
  readonly from: 'agent' | 'server';
  readonly connect?: { readonly path: string; readonly query?: object };
  readonly type?: string;
  readonly request_id?: string;
  readonly payload?: unknown;
  readonly close?: number;
  readonly http?: { readonly method: string; readonly path: string };
  readonly body?: unknown;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly repeat?: boolean;
  readonly reply?: { readonly type: string; readonly payload: unknown };
}

export interface Player extends AsyncDisposable {
  readonly url: string;
  /** Resolves when all was said; rejects at the first line that the agent gets wrong. */
  readonly played: Promise<void>;
}

const LIMIT_MS = 10_000;

export function readRecording(text: string): readonly Line[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line));
}

/** @param token what every dial and call must carry */
export function playRecording(lines: readonly Line[], token: string): Player {
  const lanes = lanesOf(lines);
  const names = new Map<string, unknown>([['token', token]]);
  const outcome = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    const left = [...lanes].flatMap(([lane, { lines: rest }]) =>
      rest
        .filter(({ repeat }) => repeat !== true)
        .map((line) => `${lane}: ${JSON.stringify(line)}`),
    );
    outcome.reject(new Error(`Not said within ${LIMIT_MS} ms:\n${left.join('\n')}`));
  }, LIMIT_MS);
  const fail = (problem: string) => outcome.reject(new Error(problem));
  const advanced = () => {
    const done = [...lanes.values()].every(({ lines: rest }) =>
      rest.every(({ repeat }) => repeat === true),
    );
    if (done) {
      outcome.resolve();
    }
  };
  const expectLine = (lane: string, what: unknown, pick: (line: Line) => unknown) => {
    const taken = takeLine(lanes.get(lane), what, pick, names);
    if (typeof taken === 'string') {
      fail(`${lane}: ${taken}\n  it was ${JSON.stringify(what)}`);
      return undefined;
    }
    return taken;
  };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    development: false,
    fetch: async (request, self) => {
      const url = new URL(request.url);
      if (request.headers.get('authorization') !== `Bearer ${token}`) {
        fail(`${url.pathname} without the token`);
      }
      if (request.headers.get('upgrade')?.toLowerCase() === 'websocket') {
        return dial(url, () => self.upgrade(request));
      }
      const lane = `${request.method} ${url.pathname}`;
      const text = await request.text();
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      expectLine(lane, { body }, (line) => ({ body: line.body }));
      const answer = lanes.get(lane)?.answer();
      advanced();
      return new Response(answer?.body === undefined ? null : JSON.stringify(answer.body), {
        status: answer?.status ?? 404,
        headers: answer?.headers ?? {},
      });
    },
    websocket: {
      perMessageDeflate: false,
      message: (socket, data) => {
        const { timestamp, ...message } = JSON.parse(String(data));
        if (typeof timestamp !== 'string') {
          fail(`a message without a timestamp: ${data}`);
        }
        const matched = expectLine('websocket', message, asMessage);
        if (matched?.reply !== undefined) {
          say(socket, matched.reply);
        }
        speak(socket);
      },
      open: (socket) => speak(socket),
      close: (_, code) => {
        const lines = lanes.get('websocket')?.lines ?? [];
        const next = lines[nextAt(lines)];
        if (next?.from === 'agent' && next.close !== undefined) {
          expectLine('websocket', { close: code }, ({ close }) => ({ close }));
        }
        advanced();
      },
    },
  });
  const dial = (url: URL, upgrade: () => boolean): Response | undefined => {
    const query = Object.fromEntries(url.searchParams);
    const connect = { path: url.pathname, ...(url.search === '' ? {} : { query }) };
    expectLine('websocket', { connect }, (line) => ({ connect: line.connect }));
    const lane = lanes.get('websocket');
    const next = lane?.lines[nextAt(lane.lines)];
    if (next?.from === 'server' && next.status !== undefined) {
      takeServerLine(lane?.lines);
      advanced();
      return new Response(null, { status: next.status });
    }
    return upgrade() ? undefined : new Response(null, { status: 426 });
  };
  const say = (socket: Bun.ServerWebSocket<unknown>, message: object) => {
    const timestamp = new Date().toISOString();
    socket.send(JSON.stringify({ ...filled(message, names, server.port), timestamp }));
  };
  const speak = (socket: Bun.ServerWebSocket<unknown>) => {
    const lane = lanes.get('websocket');
    for (let line = takeServerLine(lane?.lines); line; line = takeServerLine(lane?.lines)) {
      if (line.close !== undefined) {
        socket.close(line.close);
        break;
      }
      say(socket, { type: line.type, request_id: line.request_id, payload: line.payload });
    }
    advanced();
  };
  advanced();
  return {
    url: `http://127.0.0.1:${server.port}`,
    played: outcome.promise,
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      await server.stop(true);
    },
  };
}

/** What is due: lines that repeat are no step of the recording. */
function nextAt(lines: readonly Line[]): number {
  const at = lines.findIndex(({ repeat }) => repeat !== true);
  return at === -1 ? lines.length : at;
}

/** @returns what the server says now */
function takeServerLine(lines: Line[] | undefined): Line | undefined {
  const at = nextAt(lines ?? []);
  return lines?.[at]?.from === 'server' ? lines.splice(at, 1)[0] : undefined;
}

interface Lane {
  readonly lines: Line[];
  /** What the server answers to the call that was just expected. */
  answer(): Line | undefined;
}

function lanesOf(lines: readonly Line[]): ReadonlyMap<string, Lane> {
  const lanes = new Map<string, Lane>();
  let current = 'websocket';
  for (const line of lines) {
    if (line.http !== undefined) {
      current = `${line.http.method} ${line.http.path}`;
    } else if (line.from === 'agent' || line.status === undefined || line.connect !== undefined) {
      current = 'websocket';
    }
    const lane = lanes.get(current) ?? newLane();
    lane.lines.push(line);
    lanes.set(current, lane);
  }
  return lanes;
}

function newLane(): Lane {
  const lines: Line[] = [];
  let last: Line | undefined;
  return {
    lines,
    answer: () => {
      // The answer of a call that repeats is given again.
      last = takeServerLine(lines) ?? last;
      return last;
    },
  };
}

const asMessage = ({ type, request_id, payload }: Line) => ({
  type,
  ...(request_id === undefined ? {} : { request_id }),
  payload,
});

/** Takes the next line, or one that may come now and later. @returns it, or what is wrong */
function takeLine(
  lane: Lane | undefined,
  what: unknown,
  pick: (line: Line) => unknown,
  names: Map<string, unknown>,
): Line | string {
  if (lane === undefined) {
    return 'nothing is expected here';
  }
  const problems: string[] = [];
  for (const [at, line] of lane.lines.entries()) {
    const problem =
      line.from === 'server'
        ? 'it is the server who speaks'
        : mismatch('', pick(line), what, names);
    if (problem === undefined) {
      if (line.repeat !== true) {
        lane.lines.splice(at, 1);
      }
      return line;
    }
    problems.push(problem);
    if (line.repeat !== true) {
      break;
    }
  }
  return problems.at(-1) ?? 'nothing more is expected here';
}

const SHAPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  $string: (value) => typeof value === 'string',
  $int: (value) => Number.isInteger(value),
  $number: (value) => typeof value === 'number',
  $boolean: (value) => typeof value === 'boolean',
  $time: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT.*Z$/.test(value),
  $object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  $list: (value) => Array.isArray(value),
};

/** @returns where and how the value differs */
function mismatch(
  path: string,
  expected: unknown,
  value: unknown,
  names: Map<string, unknown>,
): string | undefined {
  if (typeof expected === 'string' && expected.startsWith('$')) {
    return mismatchOfPlaceholder(path, expected, value, names);
  }
  if (typeof expected === 'object' && expected !== null && !Array.isArray(expected)) {
    if (typeof value !== 'object' || value === null) {
      return `${path}: an object was expected`;
    }
    return mismatchOfFields(path, Object.entries(expected), value, names);
  }
  return Bun.deepEquals(expected, value) ? undefined : `${path}: not ${JSON.stringify(expected)}`;
}

function mismatchOfFields(
  path: string,
  expected: readonly (readonly [string, unknown])[],
  value: object,
  names: Map<string, unknown>,
): string | undefined {
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const [key, each] of expected) {
    const name = key.replace(/\?$/, '');
    const actual = fields.get(name);
    fields.delete(name);
    const mayBeAbsent = key.endsWith('?') || each === undefined;
    if (actual !== undefined || !mayBeAbsent) {
      const problem = mismatch(`${path}.${name}`, each, actual, names);
      if (problem !== undefined) {
        return problem;
      }
    }
  }
  const extra = [...fields].filter(([, each]) => each !== undefined).map(([name]) => name);
  return extra.length === 0 ? undefined : `${path}: unexpected ${extra.join(', ')}`;
}

function mismatchOfPlaceholder(
  path: string,
  placeholder: string,
  value: unknown,
  names: Map<string, unknown>,
): string | undefined {
  const [, name = '', shape] = /^\$(\w+)(?:=(.*))?$/.exec(placeholder) ?? [];
  if (shape !== undefined) {
    names.set(name, value);
    return SHAPES[shape]?.(value) === true ? undefined : `${path}: not ${shape}`;
  }
  const isShape = SHAPES[placeholder];
  if (isShape !== undefined) {
    return isShape(value) ? undefined : `${path}: not ${placeholder}`;
  }
  return names.get(name) === value ? undefined : `${path}: not the ${placeholder} of before`;
}

/** The server's line with the agent's values in it. `$port`: of this server. */
function filled(
  line: object,
  names: ReadonlyMap<string, unknown>,
  port: number | undefined,
): object {
  return JSON.parse(
    JSON.stringify(line, (_, value) =>
      typeof value === 'string'
        ? (names.get(value.replace(/^\$/, '')) ?? value.replace('$port', String(port)))
        : value,
    ),
  );
}
