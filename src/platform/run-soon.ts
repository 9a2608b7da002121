import type { RunSoon } from '../core/ports.ts';

export const systemRunSoon: RunSoon = (work) => void setImmediate(work);
