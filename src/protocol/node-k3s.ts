/** How a server asks a node for another k3s, and what the node answers: annotations of the Node, as JSON. */
import * as z from 'zod';
import { isK3sVersion } from '../core/k3s-version.ts';

/** Longer texts are cut. */
export const NODE_K3S_WHY_MAX = 1_000;

/** Written by the administrator of the cluster alone: the agent's account may change no annotation of a Node. */
export const WantedK3s = z.object({
  /** Of this request: a node carries one out once. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  to: z.string().refine(isK3sVersion),
  /** Whether pods are moved away first. */
  drain: z.boolean(),
});
export type WantedK3s = z.infer<typeof WantedK3s>;

/** Written by the node's own machine. */
export const NodeK3sState = z.object({
  /** Of the request that it is about. */
  id: z.string(),
  state: z.enum(['begun', 'done', 'failed']),
  why: z.string().nullable(),
});
export type NodeK3sState = z.infer<typeof NodeK3sState>;

/** @returns undefined where there is none, or one of another form */
export function readNodeK3s<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text ?? '')).data;
  } catch {
    return undefined;
  }
}
