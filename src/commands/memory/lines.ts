/** A command as lines of JSON: the command without its long texts, then each piece of those. */
import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';
import type { Lines } from '../../kubernetes/memory/objects.ts';
import type { Command } from '../../protocol/rest.ts';
import {
  gatheredPieces,
  type Piece,
  partLongTexts,
  piecesOf,
} from '../../store/journal/long-texts.ts';

interface Deps {
  readonly clock: Clock;
}

export async function linesOf(deps: Deps, command: Command): Promise<Lines> {
  const parted = partLongTexts(command);
  if (parted === undefined) {
    return [JSON.stringify(command)];
  }
  const budget = loopBudget(deps);
  const lines = [JSON.stringify(parted.rest)];
  for (const piece of piecesOf(parted.texts)) {
    lines.push(JSON.stringify(piece));
    if (budget.spent()) {
      await budget.rest();
    }
  }
  return lines;
}

/** @param lines made by `linesOf` */
export async function commandOf(deps: Deps, lines: Lines): Promise<Command> {
  const [first = '', ...rest] = lines;
  const command = JSON.parse(first) as Command;
  const budget = loopBudget(deps);
  const pieces = gatheredPieces();
  for (const line of rest) {
    pieces.add(JSON.parse(line) as Piece);
    if (budget.spent()) {
      await budget.rest();
    }
  }
  pieces.putInto(command);
  return command;
}
