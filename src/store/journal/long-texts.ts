/**
 * Long texts of a command are kept beside it, in pieces: SQLite takes 200 ms for one value of 16
 * MiB, and nothing else runs meanwhile. A piece is written and read in a few milliseconds.
 */
import type { Database } from 'bun:sqlite';
import { loopBudget } from '../../core/loop-budget.ts';
import type { Clock } from '../../core/ports.ts';
import type { Command } from '../../protocol/rest.ts';

/** A longer text is kept beside its command, in pieces of this size. Characters. */
export const PIECE_CHARS = 128 * 1024;

type Path = readonly (string | number)[];

interface LongText {
  /** Where in the command it belongs. */
  readonly path: Path;
  readonly text: string;
}

export interface PartedCommand {
  /** The command; its long texts are empty. */
  readonly rest: Command;
  readonly texts: readonly LongText[];
}

/** @returns undefined for a command without long texts, as nearly all are */
export function partLongTexts(command: Command): PartedCommand | undefined {
  if (!hasLongText(command)) {
    return undefined;
  }
  const texts: LongText[] = [];
  const rest = withoutLongTexts(command, [], texts) as Command; // Of the same shape.
  return { rest, texts };
}

function hasLongText(value: unknown): boolean {
  if (typeof value === 'string') {
    return value.length > PIECE_CHARS;
  }
  return typeof value === 'object' && value !== null && Object.values(value).some(hasLongText);
}

function withoutLongTexts(value: unknown, path: Path, texts: LongText[]): unknown {
  if (typeof value === 'string' && value.length > PIECE_CHARS) {
    texts.push({ path, text: value });
    return '';
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Array.isArray(value)
    ? value.map((each, index) => withoutLongTexts(each, [...path, index], texts))
    : Object.fromEntries(
        Object.entries(value).map(([name, each]) => [
          name,
          withoutLongTexts(each, [...path, name], texts),
        ]),
      );
}

/** A piece as it is kept: JSON, which keeps NUL and half a surrogate pair, too. */
export interface Piece {
  readonly path: string;
  readonly piece: string;
}

/** Each piece is made when it is asked for. */
export function* piecesOf(texts: readonly LongText[]): Generator<Piece> {
  for (const { path, text } of texts) {
    for (let at = 0; at < text.length; at += PIECE_CHARS) {
      const piece = JSON.stringify(text.slice(at, at + PIECE_CHARS));
      yield { path: JSON.stringify(path), piece };
    }
  }
}

/** The number of the next acceptance with long texts. Deletes texts whose command never came. */
export function nextTextSet(database: Database): number {
  database.run(
    `DELETE FROM command_texts WHERE text_set NOT IN
       (SELECT text_set FROM commands WHERE text_set IS NOT NULL)`,
  );
  const row = database
    .query<{ last: number | null }, []>('SELECT max(text_set) AS last FROM command_texts')
    .get();
  return (row?.last ?? 0) + 1;
}

export function insertPiece(database: Database, textSet: number, { path, piece }: Piece): void {
  database.run('INSERT INTO command_texts (text_set, path, piece) VALUES (?, ?, ?)', [
    ...[textSet, path, piece],
  ]);
}

export function deleteTexts(database: Database, textSet: number): void {
  database.run('DELETE FROM command_texts WHERE text_set = ?', [textSet]);
}

/** Puts the long texts back; others run meanwhile. */
export async function withLongTexts(
  deps: { readonly database: Database; readonly clock: Clock },
  rest: Command,
  textSet: number,
): Promise<Command> {
  const budget = loopBudget(deps);
  const pieces = gatheredPieces();
  let last = 0;
  for (;;) {
    const row = deps.database
      .query<Piece & { position: number }, [number, number]>(
        `SELECT position, path, piece FROM command_texts WHERE text_set = ? AND position > ?
         ORDER BY position LIMIT 1`,
      )
      .get(textSet, last);
    if (row === null) {
      break;
    }
    pieces.add(row);
    last = row.position;
    if (budget.spent()) {
      await budget.rest();
    }
  }
  pieces.putInto(rest);
  return rest;
}

/** Takes pieces in, in the order in which `piecesOf` gave them, and puts their texts back. */
export function gatheredPieces(): {
  add(piece: Piece): void;
  /** @param rest nobody else has it */
  putInto(rest: Command): void;
} {
  const byPath = new Map<string, string[]>();
  return {
    add: ({ path, piece }) => {
      const texts = byPath.get(path) ?? [];
      byPath.set(path, texts);
      texts.push(JSON.parse(piece)); // Written by `piecesOf`.
    },
    putInto: (rest) => {
      for (const [path, texts] of byPath) {
        putBack(rest, JSON.parse(path), texts.join(''));
      }
    },
  };
}

/** @param value nobody else has it */
function putBack(value: object, path: Path, text: string): void {
  let at: object = value;
  for (const name of path.slice(0, -1)) {
    at = Reflect.get(at, name);
  }
  Reflect.set(at, path.at(-1) ?? '', text);
}
