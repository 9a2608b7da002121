/** Asks a machine's /ready all the time, and remembers what it said and when. */
import { ReadyAnswer } from '../../../src/protocol/local-api.ts';
import type { Machine } from '../../vm/machine.ts';
import { waitUntil } from '../../vm/wait-until.ts';

/** Pause between two questions. The agent answers from the same probe for 1 s. */
const PAUSE_MS = 200;
/** Answers kept, the newest: those of more than 10 minutes. */
const SAMPLES_MAX = 3_000;

/** One process for all questions: to enter the machine anew for each would keep it busy. */
const ASK = `while read -r _; do
  curl -s -m 5 http://127.0.0.1:8080/ready | tr -d '\\n'
  echo
done`;

export interface ReadySample extends ReadyAnswer {
  /** performance.now() of the question, and of the answer. */
  readonly askedAt: number;
  readonly at: number;
}

export interface ReadyWatch extends AsyncDisposable {
  /** Waits for an answer to a question asked after `since` that is as wanted. */
  next(
    what: string,
    since: number,
    timeoutMs: number,
    wanted: (sample: ReadySample) => boolean,
  ): Promise<ReadySample>;
}

export async function watchReady(machine: Machine): Promise<ReadyWatch> {
  const child = Bun.spawn(await machine.argvOnHost(['sh', '-c', ASK]), {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 2,
  });
  const samples: ReadySample[] = [];
  let ending = false;
  const watching = (async () => {
    const answers = lines(child.stdout);
    while (!ending) {
      const askedAt = performance.now();
      child.stdin.write('\n');
      await child.stdin.flush();
      const { value, done } = await answers.next();
      if (done === true) {
        return;
      }
      samples.push({ ...readAnswer(value), askedAt, at: performance.now() });
      samples.splice(0, samples.length - SAMPLES_MAX);
      await Bun.sleep(PAUSE_MS);
    }
  })();
  return {
    next: (what, since, timeoutMs, wanted) =>
      waitUntil(what, timeoutMs, async () => {
        const found = samples.find((sample) => sample.askedAt >= since && wanted(sample));
        if (found === undefined) {
          throw new Error(`/ready said last ${JSON.stringify(samples.at(-1))}`);
        }
        return found;
      }),
    [Symbol.asyncDispose]: async () => {
      ending = true;
      await watching;
      child.stdin.end();
      await child.exited;
    },
  };
}

/** No answer at all: the daemon is not there. */
function readAnswer(text: string): ReadyAnswer {
  return text === ''
    ? { ready: false, reasons: [{ code: 'NO_ANSWER', message: 'no answer' }] }
    : ReadyAnswer.parse(JSON.parse(text));
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
  }
}
