/**
 * Requests, valid and not, cut anywhere, through the real connections of kubectl's door and of the
 * proxy, over sockets without a network. What the API server gets, and what the client gets, is
 * compared with what the strictest reader sees in the same bytes.
 */

import { DoorConnection } from '../../src/http1/server/connection.ts';
import { joiningRoom } from '../../src/http1/server/socket-output.ts';
import { ALLOWED, refused } from '../../src/policy/decision.ts';
import { KUBERNETES_PEER } from '../../src/proxy/kubernetes-destination.ts';
import { fairTurns } from '../../src/proxy/turns.ts';
import { connectionDeps } from '../../src/server/tls-listener.ts';
import { manualClock } from '../support/manual-clock.ts';
import { NOT_MEASURED } from '../support/proxy-deps.ts';
import {
  isForbidden,
  mutated,
  passedOn,
  type Reading,
  readAll,
  targetOfApi,
  validRequests,
} from './door-requests.ts';
import { cutAnywhere, type Draw, drawOf } from './draw.ts';
import { answerTo, FakeApi } from './fake-api.ts';
import { FakeSocket } from './fake-socket.ts';
import { rssMib, type Sample, slope } from './resident-memory.ts';
import { readAnswer, type StrictAnswer, type StrictRequest } from './strict-http.ts';

/** So many promises may follow each other before the next event of a socket … */
const TURNS = 8;
/** … and at most: each of several requests that are refused needs no event at all. */
const TURNS_MAX = 100;
/** More than any time limit of the door and of the proxy. */
const TIME_STEP_MS = 130_000;
const TIME_STEPS = 5;
const PROBE =
  'GET /proxy/length/probe HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer local\r\n\r\n';
/** In place of what the agent says of a refusal. */
const REFUSED = 'refused';
const WARM_UP_SHARE = 0.25;
const RSS_SAMPLES = 20;

export interface DoorFuzzReport {
  /** That were sent, changed or not; a part of them was whole and went on. */
  readonly requests: number;
  readonly passedOn: number;
  /** Connections with changed bytes: that were ended because of them, and that could still be used. */
  readonly ended: number;
  readonly usable: number;
  /** What it grew over a whole run by a line fitted to it. */
  readonly rssGrowthMib: number;
}

/** @throws Error that names the case; the same seed gives the same cases */
export async function fuzzDoor(seed: number, requests: number): Promise<DoorFuzzReport> {
  const sum = { requests: 0, passedOn: 0, ended: 0, usable: 0 };
  const memory: Sample[] = [];
  for (let number = 0; sum.requests < requests; number += 1) {
    const draw = drawOf(seed + number);
    const valid = validRequests(draw);
    const isMutated = draw(2) === 0;
    const text = isMutated ? mutated(draw, valid.text) : valid.text;
    try {
      const run = new Run(draw, text);
      const outcome = await run.run(isMutated ? 'changed' : 'valid');
      sum.passedOn += outcome.passedOn;
      sum.usable += isMutated && outcome.isUsable ? 1 : 0;
      sum.ended += isMutated && !outcome.isUsable ? 1 : 0;
    } catch (cause) {
      throw new Error(`Case ${seed + number}: ${JSON.stringify(text)}`, { cause });
    }
    sum.requests += valid.count;
    if (sum.requests / requests >= (memory.length + 1) / RSS_SAMPLES) {
      memory.push({ at: sum.requests / requests, mib: rssMib() });
    }
  }
  return { ...sum, rssGrowthMib: slope(memory.filter(({ at }) => at >= WARM_UP_SHARE)) };
}

class Run {
  readonly #draw: Draw;
  readonly #text: string;
  readonly #reading: Reading;
  readonly #api: FakeApi;
  readonly #client: FakeSocket;
  readonly #connection: DoorConnection;
  readonly #turns;
  #now = 0;

  constructor(draw: Draw, text: string) {
    this.#draw = draw;
    this.#text = text;
    this.#reading = readAll(text);
    this.#api = new FakeApi(draw, () => this.#now);
    this.#client = new FakeSocket(draw);
    const clock = { ...manualClock(), monotonic: () => this.#now };
    this.#turns = fairTurns({ clock });
    const address = { hostname: 'api', port: 1, trust: 'plain', peer: KUBERNETES_PEER } as const;
    const location = { address, host: 'kubernetes.test', token: 'agents-token' };
    const proxy = {
      pool: this.#api.pool,
      turns: this.#turns,
      measure: NOT_MEASURED,
      destination: {
        allow: (_: string, target: string) =>
          target.startsWith('/forbidden/') ? refused('fuzz', 'It is forbidden') : ALLOWED,
        locate: () => (draw(2) === 0 ? location : Promise.resolve(location)),
        unauthorized: () => undefined,
      },
    };
    const auth = { accepts: (given: string | undefined) => given === 'Bearer local' };
    const leaving = new AbortController().signal;
    const deps = connectionDeps({ auth, proxy }, leaving);
    const now = () => clock.monotonic();
    const own = { joiningRoom: joiningRoom(), now, idle: () => undefined };
    this.#connection = new DoorConnection({ ...deps, ...own }, this.#client);
    this.#client.owner = this.#connection;
  }

  async run(kind: 'valid' | 'changed') {
    const draw = this.#draw;
    this.#client.arrive(...cutAnywhere(draw, Buffer.from(this.#text, 'latin1')));
    if (kind === 'changed' && draw(10) === 0) {
      await this.#settle(draw(20));
      this.#client.leave();
    }
    await this.#settle();
    const passed = this.#checkRequests();
    this.#checkAnswers(kind === 'valid');
    if (kind === 'valid' && passed !== this.#allowed().length) {
      throw new Error(`Only ${passed} requests were passed on`);
    }
    const isUsable = this.#client.state === 'open' && this.#reading.next === 'usable';
    if (isUsable) {
      await this.#probe();
    } else if (kind === 'valid' && this.#reading.next === 'usable') {
      throw new Error('A connection that may be used again has been ended');
    }
    await this.#end();
    return { passedOn: passed, isUsable };
  }

  /** Lets things happen in any order, until nothing can any more, or so often. */
  async #settle(stepsMax = Number.POSITIVE_INFINITY): Promise<void> {
    for (let steps = 0; steps < stepsMax; steps += 1) {
      const [first, second] =
        this.#draw(2) === 0 ? [this.#client, this.#api] : [this.#api, this.#client];
      if (!first.step() && !second.step()) {
        await turns(TURNS_MAX);
        if (!first.step() && !second.step()) {
          return;
        }
      }
      await turns(TURNS);
    }
  }

  /** Those that the API server may see. */
  #allowed(): readonly StrictRequest[] {
    return this.#reading.requests.filter((request) => !isForbidden(request));
  }

  /** @returns how many whole ones the API server got */
  #checkRequests(): number {
    const { rest } = this.#reading;
    const requests = this.#allowed();
    if (this.#api.unreadable.length > 0) {
      throw new Error(`The API server cannot read: ${JSON.stringify(this.#api.unreadable)}`);
    }
    let whole = 0;
    for (const [index, seen] of this.#api.seen.entries()) {
      const meant = requests[index];
      const { method, target, minorVersion, headers } = seen;
      if (
        meant === undefined ||
        !Bun.deepEquals({ method, target, minorVersion, headers }, passedOn(meant)) ||
        !meant.body.startsWith(seen.body)
      ) {
        throw new Error(`The API server got what nobody sent: ${JSON.stringify(seen)}`);
      }
      const isWhole = seen.end !== undefined && meant.end !== undefined && seen.body === meant.body;
      if (!isWhole && seen.end !== undefined) {
        throw new Error(`The API server took for whole what is not: ${JSON.stringify(seen)}`);
      }
      whole += isWhole || answerTo(seen).status === 413 ? 1 : 0;
      if (!rest.startsWith(seen.rest)) {
        throw new Error('Bytes behind an upgrade are not those that were sent');
      }
    }
    return whole;
  }

  /** @param all none may be missing */
  #checkAnswers(all: boolean): void {
    const { requests, rest } = this.#reading;
    const { sent, state } = this.#client;
    const answers = answersIn(sent, requests);
    const expected = requests.map(expectedAnswer);
    for (const [index, { answer }] of answers.entries()) {
      // The last one may be a refusal, or have been cut off where its end is that of the connection.
      const isLast = index === answers.length - 1;
      const mayDiffer = !all && isLast && (answer.status >= 400 || state === 'closed');
      if (!mayDiffer && !Bun.deepEquals(answer, expected[index])) {
        throw new Error(
          `An answer is not the one meant: ${JSON.stringify([answer, expected[index]])}`,
        );
      }
    }
    if (all && answers.length !== requests.length) {
      throw new Error(`${answers.length} answers to ${requests.length} requests`);
    }
    const behind = sent.slice(answers.at(-1)?.end ?? 0);
    const isUpgraded = answers.at(-1)?.answer.status === 101;
    if (isUpgraded ? !rest.startsWith(behind) || (all && rest !== behind) : behind !== '' && all) {
      throw new Error(`Something came behind the answers: ${JSON.stringify(behind)}`);
    }
    if (all && this.#reading.next === 'ended' && state === 'open' && !isUpgraded) {
      throw new Error('The connection goes on behind its last answer');
    }
  }

  async #probe(): Promise<void> {
    const before = this.#client.sent.length;
    this.#client.arrive(Buffer.from(PROBE));
    await this.#settle();
    const answer = readAnswer(this.#client.sent, before, 'GET')?.answer;
    if (answer?.body !== 'answer to /length/probe') {
      throw new Error(`No more request is answered: ${JSON.stringify(answer)}`);
    }
  }

  /** Whatever is under way ends: by itself in its time; an upgraded connection when its client goes. */
  async #end(): Promise<void> {
    for (let step = 0; step < TIME_STEPS; step += 1) {
      this.#now += TIME_STEP_MS;
      this.#api.checkSilence();
      await this.#settle();
      this.#connection.checkTime();
      await this.#settle();
    }
    if (this.#client.sent.includes('HTTP/1.1 101 ')) {
      this.#client.leave();
      await this.#settle();
    }
    const left = { client: this.#client.state, busy: this.#api.busy, ...this.#turns.counts() };
    const nothing = { client: 'closed', busy: 0, running: 0, waiting: 0, streams: 0 };
    if (!Bun.deepEquals(left, nothing)) {
      throw new Error(`Something is left: ${JSON.stringify(left)}`);
    }
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await undefined;
  }
}

interface Answer {
  readonly answer: Omit<StrictAnswer, 'headers'>;
  /** Where the next one begins. */
  readonly end: number;
}

/** News that a body may come is no answer. */
function answersIn(text: string, requests: readonly StrictRequest[]): readonly Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < text.length; ) {
    const method = requests[answers.length]?.method ?? 'GET';
    const read = readAnswer(text, at, method);
    if (read === undefined) {
      return answers;
    }
    at = read.end;
    const { status, body, trailers } = read.answer;
    if (status !== 100) {
      answers.push({
        answer: { status, body: isRefusal(body) ? REFUSED : body, trailers },
        end: at,
      });
    }
    if (status === 101) {
      return answers;
    }
  }
  return answers;
}

const isRefusal = (body: string) =>
  body.startsWith('{') && body.includes('"kind":"Status"') && body.includes('"POLICY_DENIED"');

function expectedAnswer(request: StrictRequest): Omit<StrictAnswer, 'headers'> {
  if (isForbidden(request)) {
    return { status: 403, body: request.method === 'HEAD' ? '' : REFUSED, trailers: [] };
  }
  const asSeen = { ...request, target: targetOfApi(request.target) };
  const { status, body, trailers } = answerTo(asSeen);
  // Before HTTP/1.1 there were no chunks to put them behind.
  return { status, body, trailers: request.minorVersion === '0' ? [] : trailers };
}
