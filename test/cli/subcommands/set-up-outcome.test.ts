import { expect, test } from 'bun:test';
import { renderSetUpOutcome } from '../../../src/cli/subcommands/set-up-outcome.ts';
import type { SetUpSummary } from '../../../src/machine/set-up.ts';

const step = (id: string, title: string, seconds: number, parts: SetUpSummary['checks'] = []) => ({
  ...{ id, title, seconds, parts },
  changed: true,
});

const SUMMARY: SetUpSummary = {
  version: '0.1.0',
  role: 'server',
  adopted: false,
  networks: null,
  node: 'server-1',
  cluster_name: 'prod',
  control_plane: 'https://api.pipeops.io',
  files: ['/usr/local/bin/pipeops-agent'],
  ports: [6443],
  units: ['k3s.service'],
  checks: [
    { title: 'Look at this machine', seconds: 1.204 },
    { title: 'Ask the control plane', seconds: 0.004 },
  ],
  steps: [
    step('k3s-config', 'Configure k3s', 0.014),
    step('k3s-install', 'Install k3s', 2.6, [{ title: 'download', seconds: 1.91 }]),
    step('node-ready', 'Wait until the node is ready', 11.34, [
      { title: 'start of k3s', seconds: 4.2 },
      { title: 'node Ready', seconds: 7.14 },
    ]),
    step('agent-ready', 'Wait until the agent is ready', 0.2, [{ title: 'x', seconds: 0.01 }]),
  ],
  seconds: 15.551,
};

const shown = (summary: SetUpSummary, columns?: number) =>
  renderSetUpOutcome({ kind: 'done', summary }, { json: false, columns });

test('the end tells what took noticeable time, and what was waited for', () => {
  expect(shown(SUMMARY)).toStartWith(`
This machine is ready, in 15.6 s.

  Look at this machine            1.2 s
  Install k3s                     2.6 s  download 1.9 s
  Wait until the node is ready   11.3 s  start of k3s 4.2 s, node Ready 7.1 s
  Wait until the agent is ready   0.2 s
  All the rest                    0.2 s

Node           server-1 (server)
`);
});

test('where nothing took its time there is no table', () => {
  const steps = SUMMARY.steps.slice(0, 1);
  expect(shown({ ...SUMMARY, steps, checks: [], seconds: 0.05 })).toStartWith(`
This machine is ready, in 0.1 s.

Node           server-1 (server)
`);
});

test('a program gets every step with its time', () => {
  const text = renderSetUpOutcome(
    { kind: 'done', summary: SUMMARY },
    { json: true, columns: undefined },
  );
  expect(JSON.parse(text)).toEqual(SUMMARY);
});
