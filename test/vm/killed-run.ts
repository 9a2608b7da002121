/** What machine.test.ts kills: boots a machine, prints the lab's address and waits for ever. */

import { openLab } from './lab.ts';

const lab = await openLab({ name: 'killed-run' });
await lab.boot({ name: 'orphan', base: 'plain' });
process.stdout.write(`${lab.hostAddress}\n`);
await Promise.withResolvers<void>().promise;
