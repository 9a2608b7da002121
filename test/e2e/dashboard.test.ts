/** The page in a real browser, of an agent on a real machine: signing in, what happens seen as it happens. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxePuppeteer } from '@axe-core/puppeteer';
import type { Page } from 'puppeteer-core';
import { type MachineBrowser, openBrowser } from '../vm/browser.ts';
import { WEB_IMAGE, WEB_PORT } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const SEEN_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 100;
const WIRE_BYTES_MAX = 150 * 1024;
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 900 };
/** README shows them: `KEEP_SCREENSHOTS=1` makes them anew. */
const SCREENSHOTS = join(
  process.env['KEEP_SCREENSHOTS'] === '1' ? join(import.meta.dir, '../..') : tmpdir(),
  'docs/img',
);

/** The usual policy refuses it. */
const EXEC = { namespace: 'default', pod: 'web', command: ['id'] };

const progress = reportProgress('dashboard');
let stand: Stand;
let machine: Machine;
let agentId = '';
let opened: MachineBrowser;
/** What must not be: errors of the page, and requests to anywhere else. */
const faults: string[] = [];

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('dashboard');
  machine = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

test(
  'a person signs in once, and sees a deploy, a broken session and its fix as they happen',
  async () => {
    await stand.lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-dashboard'), async () => {
      await progress.phase('install', install);
      opened = await progress.phase('browser', () => openBrowser(machine));
      const { browser } = opened;
      const page = watched(await browser.newPage());
      await page.setViewport(DESK);
      await progress.phase('sign in', () => signIn(page));
      await progress.phase('a deploy is seen', () => seeDeploy(page));
      await progress.phase('the log is followed', () => followLog(page));
      await progress.phase('a broken session is seen', () => seeBrokenSession(page));
      await progress.phase('for everybody: axe, dark, phone', () => lookAtEachView(page));
      expect(faults).toEqual([]);
      await progress.phase('sign out', () => signOut(page));
    });
  },
  TEST_TIMEOUT_MS,
);

async function install(): Promise<void> {
  await stand.equip(machine);
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'page', '--json'];
  await installByOneLine(stand, machine, args);
  agentId = (await stand.registeredAgent()).id;
}

function watched(page: Page): Page {
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') {
      faults.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => faults.push(`page: ${String(error)}`));
  page.on('request', (request) => {
    if (!request.url().startsWith('http://127.0.0.1:8080/dashboard/')) {
      faults.push(`request: ${request.url()}`);
    }
  });
  return page;
}

async function sees(page: Page, text: string): Promise<void> {
  try {
    // By a timer: without a screen there may be no frames.
    const options = { polling: LOOK_EVERY_MS, timeout: SEEN_TIMEOUT_MS };
    await page.waitForFunction(
      `document.body.innerText.includes(${JSON.stringify(text)})`,
      options,
    );
  } catch (cause) {
    const shown = await page.$eval('body', (body) => body.textContent);
    const seen = [...faults, page.url(), shown].join('\n');
    throw new Error(`"${text}" is not on the page: ${seen}`, { cause });
  }
}

const goTo = (page: Page, view: string) => page.click(`header nav a[href="#/${view}"]`);

async function newLink(): Promise<string> {
  return JSON.parse((await machine.exec(['pipeops-agent', 'dashboard', '--json'])).stdout).url;
}

async function signIn(page: Page): Promise<void> {
  const link = await newLink();
  let wireBytes = 0;
  const client = await page.createCDPSession();
  await client.send('Network.enable');
  client.on('Network.loadingFinished', ({ encodedDataLength }) => {
    wireBytes += encodedDataLength;
  });
  await page.goto(link);
  await sees(page, 'Connected');
  expect(wireBytes).toBeLessThan(WIRE_BYTES_MAX);
  expect(page.url()).toBe('http://127.0.0.1:8080/dashboard/');

  const other = await (await opened.browser.createBrowserContext()).newPage();
  await other.goto(link);
  await sees(other, 'This link was opened before');
  await other.goto('http://127.0.0.1:8080/dashboard/');
  await sees(other, 'You are not signed in');
  await other.close();
}

async function seeDeploy(page: Page): Promise<void> {
  await goTo(page, 'commands');
  const id = await stand.command(agentId, 'deploy', {
    name: 'web',
    namespace: 'default',
    image: WEB_IMAGE,
    replicas: 1,
    ports: [{ container_port: WEB_PORT }],
    domains: ['shop.example.com'],
  });
  await sees(page, id);
  await stand.finished(agentId, id);
  await sees(page, 'Done');
  await page.click('tbody button.link');
  await sees(page, 'Succeeded');
  await goTo(page, 'pods');
  await sees(page, 'web-');
  await page.type('input[type=search]', 'coredns-no-such');
  await sees(page, 'No pods');
  await goTo(page, 'events');
  await sees(page, 'ScalingReplicaSet');
  await goTo(page, 'routes');
  await sees(page, '://shop.example.com/');
  await sees(page, 'Open streams');
  await stand.finished(agentId, await stand.command(agentId, 'exec', EXEC));
  await goTo(page, 'policy');
  await sees(page, 'standard/exec');
}

async function followLog(page: Page): Promise<void> {
  await goTo(page, 'log');
  await sees(page, 'command accepted');
  await page.click('button[aria-pressed=false]');
  const lines = () => page.$$eval('.log li', (all) => all.length);
  const before = await lines();
  const id = await stand.command(agentId, 'get_resources', {});
  await stand.finished(agentId, id);
  expect(await lines()).toBe(before);
  await page.click('button[aria-pressed=true]');
  await sees(page, id);
  await screenshot(page, 'dashboard-log');
}

async function seeBrokenSession(page: Page): Promise<void> {
  await goTo(page, '');
  await stand.stopControlPlane();
  await sees(page, 'Not ready');
  await sees(page, 'CONTROL_PLANE_UNREACHABLE');
  await sees(page, 'Check the address, DNS, the firewall');
  await screenshot(page, 'dashboard-broken-session');
  stand.startControlPlane();
  await sees(page, 'Connected');
}

async function lookAtEachView(page: Page): Promise<void> {
  const views = await page.$$eval('header nav a', (all) =>
    all.map((each) => each.getAttribute('href')?.slice('#/'.length) ?? ''),
  );
  expect(views).toContain('routes');
  const found: string[] = [];
  for (const [index, view] of views.entries()) {
    const scheme = index % 2 === 0 ? 'light' : 'dark';
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await goTo(page, view);
    await page.waitForSelector(view === '' ? '.cards' : 'tbody tr, .pager, .log li');
    const { violations } = await new AxePuppeteer(page).analyze();
    found.push(...violations.map(({ id, nodes }) => `${view} ${scheme}: ${id} ${nodes[0]?.html}`));
  }
  await goTo(page, '');
  await page.waitForSelector('.cards');
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
  await screenshot(page, 'dashboard-dark');
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await screenshot(page, 'dashboard');
  await page.setViewport(PHONE);
  const overflow = await page.evaluate('document.body.scrollWidth - innerWidth');
  await screenshot(page, 'dashboard-phone');
  await page.setViewport(DESK);
  expect({ found, overflow }).toEqual({ found: [], overflow: 0 });
}

async function screenshot(page: Page, name: string): Promise<void> {
  await Bun.write(join(SCREENSHOTS, `${name}.png`), await page.screenshot());
}

async function signOut(page: Page): Promise<void> {
  await page.click('header > button');
  await sees(page, 'You are not signed in');
}
