import type { Probe } from '../../core/probe.ts';
import { allAddresses } from './addresses.ts';
import { askResolver } from './resolver-query.ts';
import { walk } from './walk.ts';

export const systemProbe: Probe = {
  resolve: allAddresses,
  walk,
  askResolver: (server, name, limitMs) => askResolver(server, name, limitMs),
};
