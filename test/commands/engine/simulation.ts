/**
 * The real journal and the real executor in a world of chance: commands are delivered, delivered
 * again, late and out of order, cancelled; the daemon crashes between any two steps; results get
 * lost. Time is virtual, and the same seed gives the same history.
 *
 * That it can fail was tried by breaking the engine: it notices each of these. With (c) the crash
 * test (engine-crash.test.ts) notices it as well.
 * - a beginning, an end (c), a checkpoint (c) or a cancel that is not written; (c)
 * - what is told before it is committed (c)
 * - a lane that is not closed behind its command
 * - a duplicate that replaces what is there (c)
 * - a command that must not run again and does (c)
 * - a result that is taken for delivered at once (c), or is not sent again to a duplicate
 * A second result that replaces the first cannot come from the executor: command-journal.test.ts.
 */
import type { Database } from 'bun:sqlite';
import { z } from 'zod';
import { commandExecutor } from '../../../src/commands/engine/executor.ts';
import { type CommandHandler, commandHandler } from '../../../src/commands/engine/handler.ts';
import { commandProgress } from '../../../src/commands/engine/progress.ts';
import { type ClusterMemory, clusterMemory } from '../../../src/commands/memory/cluster.ts';
import type { Random } from '../../../src/core/ports.ts';
import type { Command, CommandResult } from '../../../src/protocol/rest.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { type CommandJournal, commandJournal } from '../../../src/store/journal/commands.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';
import { memoryLog } from '../../support/memory-log.ts';
import { type CallFate, memoryCluster } from '../../support/memory-objects.ts';
import { unusedCommandDeps } from '../../support/unused-command-deps.ts';

const TYPES = ['repeatable', 'noted', 'once', 'urgent', 'deaf', 'throws', 'unknown'] as const;
/** Of one server, and of several: each step takes some calls more. */
const ACTIONS = { one: 120, several: 400 };
const COMMANDS_MAX = 12;

/** What the reference knows of one command. */
interface Known {
  readonly command: Command;
  readonly lane: string;
  delivered: number;
  /** The agent said that it has it. */
  acknowledged: boolean;
  cancelAcknowledged: boolean;
  /** It was open then, and the agent crashed: it must not succeed any more. */
  cancelOutlivedCrash: boolean;
  /** The agent noted that its result was taken. */
  settled: boolean;
  /** It was delivered once more after that: its result is to come again. */
  owed: boolean;
  /** Every time that its effect was made: what it was made with. */
  readonly effects: string[];
  /** Every result that came, as JSON. */
  readonly results: string[];
}

/** One life of the daemon on one server. What it waits for never comes once it has crashed. */
interface Life {
  readonly server: number;
  readonly journal: CommandJournal;
  readonly clock: ManualClock;
  readonly commits: (() => void)[];
  readonly steps: (() => void)[];
  /** Calls of the memory of the cluster that wait. */
  readonly calls: ((fate: CallFate) => void)[];
  readonly lanes: Set<string>;
  readonly stop: AbortController;
  /** It has a session: it knows what the cluster knows. */
  serves: boolean;
  /** Another server has taken over from it. */
  lost: boolean;
}

/**
 * Runs one history.
 * @param servers 1: without a memory of the cluster; else a crash may let another one take over
 * @returns what is wrong, empty when nothing is
 */
export async function runHistory(random: Random, servers = 1): Promise<readonly string[]> {
  const databases = Array.from(
    { length: servers },
    () => openDatabase({ clock: manualClock() }, ':memory:').database,
  );
  const world = new World(databases, random);
  try {
    const actions = servers === 1 ? ACTIONS.one : ACTIONS.several;
    for (let action = 0; action < actions; action += 1) {
      await world.act();
    }
    await world.settle();
    return world.problems();
  } finally {
    world.end();
    for (const database of databases) {
      database.close();
    }
  }
}

class World {
  readonly #databases: readonly Database[];
  readonly #cluster = memoryCluster();
  /** Lives that another server has taken over from and that have not noticed, or not died, yet. */
  #zombies: Life[] = [];
  readonly #random: Random;
  readonly #commands: Known[] = [];
  readonly #wrong: string[] = [];
  #life: Life;
  #elapsedMs = 0;

  constructor(databases: readonly Database[], random: Random) {
    this.#databases = databases;
    this.#random = random;
    this.#life = this.#start();
  }

  end(): void {
    for (const { stop } of [this.#life, ...this.#zombies]) {
      stop.abort();
    }
  }

  async act(): Promise<void> {
    const actions: readonly (readonly [number, () => void])[] = [
      [12, () => this.#deliver()],
      [5, () => this.#cancel()],
      [30, () => this.#life.commits.shift()?.()],
      [30, () => this.#take(this.#life.steps)?.()],
      [10, () => this.#send(this.#life, 0.4)],
      [6, () => this.#pass(this.#random.fraction() * 30_000)],
      [2, () => this.#crash()],
      ...(this.#databases.length === 1
        ? []
        : ([
            [60, () => this.#take(this.#life.calls)?.(this.#fate())],
            [15, () => this.#haunt()],
          ] as const)),
    ];
    let left = this.#random.fraction() * actions.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, action] of actions) {
      left -= weight;
      if (left < 0) {
        action();
        break;
      }
    }
    await quiet();
  }

  /** No more trouble: everything that was taken comes to its end. */
  async settle(): Promise<void> {
    for (const zombie of this.#zombies) {
      zombie.stop.abort();
    }
    this.#zombies = [];
    // Long enough for a look for records that others have made.
    const roundsMin = this.#databases.length === 1 ? 0 : 130;
    for (let round = 0; round < 2_000; round += 1) {
      const { accepted, running, undelivered } = this.#life.journal.counts();
      if (round >= roundsMin && this.#life.serves && accepted + running + undelivered === 0) {
        const left = this.#cluster.names('command');
        this.#wrong.push(...left.map((name) => `the record ${name} stays behind`));
        return;
      }
      for (let goesOn = true; goesOn; ) {
        goesOn = await this.#goOn();
      }
      this.#send(this.#life, 0);
      this.#pass(1_000);
      await quiet();
    }
    this.#wrong.push('not everything came to its end');
  }

  /** @returns whether anything was waiting, of the life that there is now: nothing of a crashed one goes on */
  async #goOn(): Promise<boolean> {
    const { commits, steps, calls } = this.#life;
    if (commits.length + steps.length + calls.length === 0) {
      return false;
    }
    commits.shift()?.();
    steps.shift()?.();
    calls.shift()?.('answered');
    await quiet();
    return true;
  }

  problems(): readonly string[] {
    return [...this.#wrong, ...this.#commands.flatMap(problemsOf)];
  }

  #start(): Life {
    const server = Math.floor(this.#random.fraction() * this.#databases.length);
    const database = this.#databases[server] as Database;
    const clock = manualClock(new Date(Date.UTC(2026, 0, 1) + this.#elapsedMs).toISOString());
    const commits: (() => void)[] = [];
    const runSoon = (work: () => void) => void commits.push(work);
    const alone = commandJournal({ database, clock, runSoon });
    const calls: Life['calls'] = [];
    const gate = () => new Promise<CallFate>((resolve) => void calls.push(resolve));
    const memory =
      this.#databases.length === 1
        ? undefined
        : clusterMemory({
            clock,
            random: {
              ...this.#random,
              bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
            },
            log: memoryLog(),
            journal: alone,
            objects: this.#cluster.through(gate),
          });
    const life: Life = {
      server,
      journal: memory?.journal ?? alone,
      clock,
      commits,
      calls,
      steps: [],
      lanes: new Set(),
      stop: new AbortController(),
      serves: false,
      lost: false,
    };
    void this.#serve(life, memory).catch((thrown) => this.#fail(life, thrown));
    return life;
  }

  async #serve(life: Life, memory: ClusterMemory | undefined): Promise<void> {
    const { clock, journal, stop } = life;
    if (memory !== undefined && !(await memory.share('others', stop.signal))) {
      return;
    }
    for (const known of this.#commands) {
      // One that was taken over from meanwhile may not know yet that it has ended.
      const isOpen = life === this.#life && journal.find(known.command.id) !== undefined;
      known.cancelOutlivedCrash ||= isOpen && known.cancelAcknowledged;
    }
    const executor = commandExecutor({
      ended: () => undefined,
      ...unusedCommandDeps(),
      clock,
      journal,
      log: memoryLog(),
      progress: commandProgress({ clock }),
      loadHandlers: async () => this.#handlers(life),
    });
    const { done } = await executor.start(stop.signal);
    life.serves = true;
    await Promise.all([done, memory?.keepUp(stop.signal)]);
  }

  /** Who notices that another server has taken over ends. */
  #fail(life: Life, thrown: unknown): void {
    if (life.stop.signal.aborted) {
      return; // It ends already.
    }
    life.lost = true;
    life.stop.abort();
    const isTakenOver = String(thrown).includes('has taken over');
    if (!isTakenOver || this.#databases.length === 1) {
      this.#wrong.push(`server ${life.server} failed: ${thrown}`);
    } else if (life === this.#life) {
      this.#crash();
    }
  }

  #crash(): void {
    const before = this.#life;
    this.#life = this.#start();
    this.#zombies = this.#zombies.filter(({ server }) => server !== this.#life.server);
    if (before.server !== this.#life.server && !before.lost && this.#random.fraction() < 0.5) {
      this.#zombies.push(before);
    }
    if (this.#databases.length > 1) {
      for (const known of this.#commands) {
        known.owed = false; // The control plane asks again at the next session.
      }
    }
  }

  /** One that was taken over from goes on for a moment. */
  #haunt(): void {
    const zombie = this.#take(this.#zombies, false);
    if (zombie !== undefined) {
      zombie.commits.shift()?.();
      this.#take(zombie.steps)?.();
      this.#take(zombie.calls)?.(this.#fate());
      this.#send(zombie, 0.4);
    }
  }

  #fate(): CallFate {
    const chance = this.#random.fraction();
    return chance < 0.86 ? 'answered' : chance < 0.93 ? 'answer lost' : 'not done';
  }

  #deliver(): void {
    const life = this.#life;
    if (!life.serves) {
      return;
    }
    const isNew = this.#commands.length < COMMANDS_MAX && this.#random.fraction() < 0.5;
    const known = isNew ? this.#make() : this.#take(this.#commands, false);
    if (known === undefined) {
      return;
    }
    known.delivered += 1;
    const { settled } = known;
    const came = known.results.length;
    void life.journal.accept(known.command).then(
      () => {
        known.acknowledged = true;
        known.owed ||= life === this.#life && settled && known.results.length === came;
      },
      (thrown) => this.#refused(life, thrown),
    );
  }

  #make(): Known {
    const id = `c${this.#commands.length}`;
    const type = TYPES[Math.floor(this.#random.fraction() * TYPES.length)] ?? 'once';
    const lane = `lane-${Math.floor(this.#random.fraction() * 3)}`;
    const command = { id, type, payload: { lane }, timeout_seconds: 60 };
    const known: Known = {
      command,
      lane,
      delivered: 0,
      acknowledged: false,
      cancelAcknowledged: false,
      cancelOutlivedCrash: false,
      settled: false,
      owed: false,
      effects: [],
      results: [],
    };
    this.#commands.push(known);
    return known;
  }

  #cancel(): void {
    const known = this.#take(this.#commands, false);
    const life = this.#life;
    if (known !== undefined && life.serves) {
      void life.journal.cancel(known.command.id).then(
        (outcome) => {
          known.cancelAcknowledged ||= outcome === 'cancelling';
        },
        (thrown) => this.#refused(life, thrown),
      );
    }
  }

  /** The control plane gets no answer. */
  #refused(life: Life, thrown: unknown): void {
    const mayBe = this.#databases.length > 1 && String(thrown).includes('cannot note');
    if (!mayBe) {
      this.#fail(life, thrown);
    }
  }

  /** Sends what is pending; some of it is lost, or its acknowledgement is. */
  #send({ journal, serves }: Life, lossShare: number): void {
    if (!serves) {
      return;
    }
    for (const { commandId, result } of journal.pending(5)) {
      const known = this.#commands.find((each) => each.command.id === commandId);
      if (known === undefined || this.#random.fraction() < lossShare) {
        continue;
      }
      known.results.push(JSON.stringify(result));
      known.owed = false;
      if (this.#random.fraction() >= lossShare) {
        void journal.delivered(commandId).then(() => {
          known.settled = true;
        });
      }
    }
  }

  #pass(ms: number): void {
    this.#elapsedMs += ms;
    for (const { clock } of [this.#life, ...this.#zombies]) {
      clock.advance(ms);
    }
  }

  #take<T>(list: T[], remove = true): T | undefined {
    const index = Math.floor(this.#random.fraction() * list.length);
    return remove ? list.splice(index, 1)[0] : list[index];
  }

  #handlers(life: Life): readonly CommandHandler[] {
    const step = () => new Promise<void>((resolve) => void life.steps.push(resolve));
    const effectOf = (id: string, text: string) =>
      this.#commands.find((each) => each.command.id === id)?.effects.push(text);
    const define = (
      type: (typeof TYPES)[number],
      run: (context: Parameters<Parameters<typeof commandHandler>[0]['run']>[1]) => Promise<void>,
    ) =>
      commandHandler({
        type,
        payload: z.strictObject({ lane: z.string() }),
        data: z.strictObject({}),
        lane: ({ lane }) => (type === 'urgent' ? `read-${lane}` : lane),
        priority: type === 'urgent' ? 'urgent' : 'normal',
        timeoutMs: () => 60_000,
        afterRestart: type === 'once' ? 'fail' : 'rerun',
        run: async ({ lane }, context) => {
          const name = type === 'urgent' ? `read-${lane}` : lane;
          if (life.lanes.has(name)) {
            this.#wrong.push(`two at once in ${name}`);
          }
          life.lanes.add(name);
          try {
            await run(context);
          } finally {
            life.lanes.delete(name);
          }
          return { output: type, data: {} };
        },
      });
    return [
      define('repeatable', async ({ commandId, signal }) => {
        await step();
        signal.throwIfAborted();
        effectOf(commandId, 'the same');
        await step();
        signal.throwIfAborted();
      }),
      define('noted', async ({ commandId, checkpoint, setCheckpoint, signal }) => {
        const target = checkpoint ?? `target ${this.#random.fraction()}`;
        await step();
        await setCheckpoint(target);
        signal.throwIfAborted();
        effectOf(commandId, String(target));
        await step();
      }),
      define('once', async ({ commandId, signal }) => {
        await step();
        signal.throwIfAborted();
        effectOf(commandId, `run ${this.#random.fraction()}`);
        await step();
      }),
      define('urgent', async () => await step()),
      define('deaf', async () => {
        await step();
        await life.clock.sleep(90_000);
      }),
      define('throws', async () => {
        await step();
        throw new Error('a bug');
      }),
    ];
  }
}

function problemsOf(known: Known): readonly string[] {
  const { id, type } = known.command;
  const wrong: string[] = [];
  const say = (text: string) => void wrong.push(`${type} ${id}: ${text}`);
  const results = new Set(known.results);
  const result = known.results.length === 0 ? undefined : parse(known.results[0] ?? '');
  const effects = new Set(known.effects);
  if (known.acknowledged && results.size !== 1) {
    say(`${results.size} different results`);
  }
  if (known.owed) {
    say('it was delivered again and not answered again');
  }
  if (effects.size > 1) {
    say(`${effects.size} different effects`);
  }
  if (type === 'once' && known.effects.length > 1) {
    say(`its effect was made ${known.effects.length} times`);
  }
  if (known.delivered === 0 && known.effects.length > 0) {
    say('it was never delivered and ran');
  }
  const hasEffect = type === 'repeatable' || type === 'noted' || type === 'once';
  if (result?.success && hasEffect && effects.size !== 1) {
    say('it succeeded without its effect');
  }
  if (result !== undefined && !allowedCodes(known).includes(result.error_code)) {
    say(`it ended with ${result.error_code}: ${result.error}`);
  }
  const untouched = result?.metadata.attempts === 0;
  if (untouched && known.effects.length > 0) {
    say('it was answered as never begun and had its effect');
  }
  return wrong;
}

function allowedCodes({ command, cancelOutlivedCrash }: Known): readonly (string | undefined)[] {
  // A cancel may have been committed although a crash swallowed its acknowledgement.
  const always = ['COMMAND_CANCELLED', 'TIMEOUT', 'COMMAND_OUTCOME_UNKNOWN'];
  switch (command.type) {
    case 'unknown':
      return ['COMMAND_UNSUPPORTED', 'COMMAND_CANCELLED'];
    case 'throws':
      return ['INTERNAL', ...always];
    default:
      return cancelOutlivedCrash ? always : [undefined, ...always];
  }
}

function parse(json: string): CommandResult {
  return JSON.parse(json);
}

/** Lets everything go on that does not wait for the world. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
