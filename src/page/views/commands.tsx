import { useState } from 'preact/hooks';
import type { CommandRow } from '../../protocol/local-commands.ts';
import { type AskError, askErrorOf } from '../agent/agent.ts';
import { useConnection } from '../agent/connection.ts';
import { useAnswer } from '../agent/use-answer.ts';
import { Age } from '../parts/age.tsx';
import { Badge, type Tone } from '../parts/badge.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';
import { duration } from '../text/format.ts';

const LIMIT = 50;

function stateOf({ state, outcome, cancelled_at }: CommandRow): readonly [Tone, string] {
  if (outcome === 'failed') {
    return ['bad', 'Failed'];
  }
  if (outcome !== null) {
    return [outcome === 'succeeded' ? 'good' : 'idle', outcome === 'succeeded' ? 'Done' : 'Ended'];
  }
  if (cancelled_at !== null) {
    return ['warn', 'Stopping'];
  }
  return state === 'running' ? ['warn', 'Running'] : ['idle', 'Waits'];
}

function State({ command }: { readonly command: CommandRow }) {
  const [tone, text] = stateOf(command);
  return <Badge tone={tone}>{text}</Badge>;
}

function Took({ started_at, finished_at }: Pick<CommandRow, 'started_at' | 'finished_at'>) {
  if (started_at === null || finished_at === null) {
    return <Age of={started_at} />;
  }
  const ms = Date.parse(finished_at) - Date.parse(started_at);
  return <>{ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : duration(ms)}</>;
}

const COLUMNS: readonly Column<CommandRow>[] = [
  { title: 'Command', cell: ({ type }) => type },
  { title: 'State', cell: (command) => <State command={command} /> },
  { title: 'Came', cell: ({ accepted_at }) => <Age of={accepted_at} isMoment /> },
  { title: 'Took', isNumber: true, cell: (command) => <Took {...command} /> },
  { title: 'Id', cell: ({ id }) => <code>{id}</code> },
];

/** What the control plane asked for; what runs tells how far it is, and can be stopped. */
export function Commands() {
  const [before, setBefore] = useState<readonly number[]>([]);
  const [picked, setPicked] = useState<string>();
  const older = before.at(-1);
  const { answer, error, again } = useAnswer(
    'GET /api/commands',
    { limit: LIMIT, before: older },
    { isNews: ({ event }) => event === 'command' },
  );
  return (
    <>
      <Trouble error={error} />
      {picked !== undefined && (
        <Details id={picked} onClose={() => setPicked(undefined)} onChange={again} />
      )}
      {answer !== undefined && answer.items.length === 0 && (
        <p class="card muted">The control plane has asked for nothing in the last 30 days.</p>
      )}
      {answer !== undefined && answer.items.length > 0 && (
        <>
          <Table
            label="commands"
            columns={COLUMNS}
            rows={answer.items}
            keyOf={({ id }) => id}
            picked={picked}
            onPick={({ id }) => setPicked(id)}
          />
          <nav class="pager" aria-label="Pages of commands">
            <button
              type="button"
              disabled={before.length === 0}
              onClick={() => setBefore(before.slice(0, -1))}
            >
              Newer
            </button>
            <button
              type="button"
              disabled={answer.next === null}
              onClick={() => setBefore([...before, answer.next ?? 0])}
            >
              Older
            </button>
          </nav>
        </>
      )}
    </>
  );
}

interface DetailsProps {
  readonly id: string;
  readonly onClose: () => void;
  readonly onChange: () => void;
}

function Details({ id, onClose, onChange }: DetailsProps) {
  const { answer, error, again } = useAnswer(
    'GET /api/commands/{id}',
    { id },
    {
      isNews: ({ event, data }) => event === 'command' && data.id === id,
    },
  );
  const { agent } = useConnection();
  const [refused, setRefused] = useState<AskError>();
  const cancel = async () => {
    try {
      await agent.ask('POST /api/commands/{id}/cancel', { id });
      setRefused(undefined);
    } catch (thrown) {
      setRefused(askErrorOf(thrown));
    }
    again();
    onChange();
  };
  if (answer === undefined) {
    return <Trouble error={error} />;
  }
  const { type, target, progress, result, outcome, cancelled_at } = answer;
  return (
    <section class="card details" aria-label={`Command ${id}`}>
      <h2>
        {type} {target !== null && <span class="muted">{target}</span>} <State command={answer} />
        <button type="button" class="quiet" onClick={onClose}>
          Close
        </button>
      </h2>
      <Trouble error={refused ?? error} />
      <p aria-live="polite">
        {outcome === null ? (progress ?? 'No word yet') : (result?.error ?? 'Succeeded')}
        {result?.error_code !== undefined && (
          <>
            {' '}
            · <code>{result.error_code}</code>
          </>
        )}
      </p>
      {result !== null && result.output !== '' && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        <pre tabIndex={0}>{result.output}</pre>
      )}
      {outcome === null && (
        <button
          type="button"
          class="danger"
          disabled={cancelled_at !== null}
          onClick={() => void cancel()}
        >
          {cancelled_at === null ? 'Stop it' : 'Asked to stop'}
        </button>
      )}
    </section>
  );
}
