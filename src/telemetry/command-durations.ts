import type { EndedCommand } from '../commands/engine/executor.ts';
import type { Histograms } from './metrics/histograms.ts';

const SECONDS = 'pipeops_agent_command_duration_seconds';
/** Longer ids do not fit into an exemplar: OpenMetrics allows 128 characters for all of it. */
const EXEMPLAR_ID_LENGTH_MAX = 100;

/** Each measurement names its command, so that a slow one is found in the log. */
export function commandDurations(histograms: Histograms): (command: EndedCommand) => void {
  return ({ id, type, outcome, durationMs }) => {
    const exemplar = id.length > EXEMPLAR_ID_LENGTH_MAX ? {} : { command_id: id };
    histograms.observe(SECONDS, { type, outcome }, durationMs / 1_000, exemplar);
  };
}
