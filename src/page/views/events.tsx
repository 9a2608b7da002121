import { useState } from 'preact/hooks';
import type { EventRow } from '../../protocol/local-cluster.ts';
import { useAnswer } from '../agent/use-answer.ts';
import { Age } from '../parts/age.tsx';
import { Badge } from '../parts/badge.tsx';
import { Pager } from '../parts/pager.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Trouble } from '../parts/trouble.tsx';
import { NamespaceChoice } from './row-list.tsx';

/** Each question reads them from Kubernetes. */
const EVERY_MS = 5_000;
const LIMIT = 50;

const COLUMNS: readonly Column<EventRow>[] = [
  { title: 'Last seen', cell: ({ last_seen }) => <Age of={last_seen} isMoment /> },
  {
    title: 'Type',
    cell: ({ type }) => <Badge tone={type === 'Warning' ? 'warn' : 'idle'}>{type}</Badge>,
  },
  { title: 'Reason', cell: ({ reason }) => reason },
  { title: 'About', cell: ({ kind, namespace, name }) => `${kind} ${namespace}/${name}` },
  { title: 'Message', cell: ({ message }) => <span class="wrap">{message}</span> },
  { title: 'Times', isNumber: true, cell: ({ count }) => count },
];

export function Events() {
  const [isWarning, setWarning] = useState(false);
  const [namespace, setNamespace] = useState('');
  const [offset, setOffset] = useState(0);
  const { answer, error } = useAnswer(
    'GET /api/k8s/events',
    {
      offset,
      limit: LIMIT,
      type: isWarning ? 'Warning' : undefined,
      namespace: namespace === '' ? undefined : namespace,
    },
    { everyMs: EVERY_MS, isNews: ({ event }) => event === 'kubernetes_event' },
  );
  return (
    <>
      <div class="filters">
        <NamespaceChoice
          value={namespace}
          onChange={(to) => {
            setNamespace(to);
            setOffset(0);
          }}
        />
        <label>
          <input
            type="checkbox"
            checked={isWarning}
            onChange={({ currentTarget }) => {
              setWarning(currentTarget.checked);
              setOffset(0);
            }}
          />{' '}
          Only warnings
        </label>
      </div>
      <Trouble error={error} />
      {answer !== undefined && (
        <>
          {answer.truncated && (
            <p class="muted">
              There are more than the 5 000 that were read. A namespace narrows it.
            </p>
          )}
          <Table
            label="events"
            columns={COLUMNS}
            rows={answer.items}
            keyOf={({ namespace: at, kind, name, reason, message }) =>
              `${at}/${kind}/${name}/${reason}/${message}`
            }
          />
          <Pager
            {...{ noun: 'events', offset, limit: LIMIT, total: answer.total }}
            onOffset={setOffset}
          />
        </>
      )}
    </>
  );
}
