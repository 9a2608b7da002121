/** A real Chromium with the network of a machine: what listens on 127.0.0.1 there, it reaches. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';
import type { Machine } from './machine.ts';
import { initOf } from './nspawn.ts';

const CHROMIUM = '/usr/bin/chromium';
/** Where it starts slowly, others use the processors. */
const START_TIMEOUT_MS = 90_000;

export interface MachineBrowser extends AsyncDisposable {
  readonly browser: Browser;
}

export async function openBrowser(machine: Machine): Promise<MachineBrowser> {
  const init = await initOf(machine.group);
  if (init === undefined) {
    throw new Error(`The machine "${machine.name}" is off`);
  }
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-browser-'));
  const start = join(directory, 'chromium');
  await writeFile(start, `#!/bin/sh\nexec nsenter --net --target ${init} ${CHROMIUM} "$@"\n`);
  await chmod(start, 0o755);
  const browser = await puppeteer.launch({
    executablePath: start,
    userDataDir: join(directory, 'profile'),
    pipe: true,
    timeout: START_TIMEOUT_MS,
    protocolTimeout: START_TIMEOUT_MS,
    // Tests are root, for whom Chromium has no sandbox.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  return {
    browser,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
