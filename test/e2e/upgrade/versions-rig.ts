/** A machine whose agent changes its version, and the versions that are there for it: good ones and bad ones. */
import { expect } from 'bun:test';
import { gzipSync } from 'bun';
import { readSigningKey } from '../../../scripts/release/key-directory.ts';
import { RELEASE_FILE_NAMES, type SignedRelease } from '../../../src/protocol/files/release.ts';
import { listed, signedRelease } from '../../support/test-release.ts';
import type { Machine } from '../../vm/machine.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import type { Stand } from '../stand.ts';

const CHANGE_TIMEOUT_MS = 240_000;
const SETTLE_TIMEOUT_MS = 60_000;
export const HOST_STATE = '/var/lib/pipeops-agent-host';
export const PROGRAM = `pipeops-agent-linux-${process.arch}`;

/** What a machine runs: an installation of `version` with the identity `id`, that has its session. */
export const runs = (version: string, id: string) => ({
  ...{ version, id, phase: 'connected' },
  link: `/opt/pipeops-agent/${version}/pipeops-agent`,
});

export type VersionsRig = ReturnType<typeof versionsRig>;

/** @param machine on which an agent is installed from this stand */
export function versionsRig(stand: Stand, machine: Machine) {
  const { version } = stand.releases.release;

  /** Runs a subcommand. @returns its document, or its error */
  const agent = async (...words: readonly string[]) => {
    const { exitCode, stdout, stderr } = await machine.exec(['pipeops-agent', ...words, '--json'], {
      timeoutMs: CHANGE_TIMEOUT_MS,
      check: false,
    });
    const document = exitCode === 0 ? JSON.parse(stdout) : undefined;
    return { exitCode, document, stderr: `${stdout}${stderr}` };
  };

  const running = async () => {
    const { document } = await agent('status');
    return {
      version: document.agent.version,
      id: document.agent.id,
      phase: document.session.phase,
      link: (await machine.exec(['readlink', '/usr/local/bin/pipeops-agent'])).stdout.trim(),
    };
  };

  /** The unit that changes versions is gone, and so is its record. */
  const nothingLeft = async () => {
    await waitUntil('the watcher is gone', SETTLE_TIMEOUT_MS, async () => {
      const unit = await machine.exec(['systemctl', 'cat', 'pipeops-agent-upgrade.service'], {
        check: false,
      });
      return unit.exitCode !== 0;
    });
    const files = await machine.exec(['ls', HOST_STATE]);
    expect(files.stdout.split('\n')).not.toContain('upgrade.json');
  };

  /** Waits until a version is settled on after a power cut or a kill, and has its session. */
  const settled = async () => {
    await waitUntil('a version is settled', CHANGE_TIMEOUT_MS, async () => {
      const record = await machine.exec(['cat', `${HOST_STATE}/upgrade.json`], { check: false });
      return record.exitCode !== 0;
    });
    await nothingLeft();
    await waitUntil('it has its session', SETTLE_TIMEOUT_MS, async () => {
      const { document } = await agent('status');
      return document?.session.phase === 'connected';
    });
  };

  /**
   * Publishes a version that is signed as it should be, with a script as its program.
   * @param bytes how large the program is at least
   */
  const publish = async (name: string, script: string, bytes = 0) => {
    const program = Buffer.from(`#!/bin/sh\n${script}\nexit\n`.padEnd(bytes, '#'));
    const packed = gzipSync(new Uint8Array(program));
    const time = (days: number) =>
      new Date(Date.now() + days * 86_400_000).toISOString().replace(/\.\d+Z/, 'Z');
    const { keysDirectory } = stand.releases.release;
    const signed = await signedRelease(
      { signing: () => readSigningKey(keysDirectory) },
      {
        ...{ version: name, channel: 'stable', released: time(-1), expires: time(10) },
        ...{ min_version: '0.0.0', programs: [listed(PROGRAM, program)] },
        files: [listed(`${PROGRAM}.gz`, packed)],
      },
    );
    for (const part of Object.keys(RELEASE_FILE_NAMES) as (keyof SignedRelease)[]) {
      stand.releases.put(`/${name}/${RELEASE_FILE_NAMES[part]}`, signed[part]);
    }
    stand.releases.put(`/${name}/${PROGRAM}.gz`, packed);
  };

  /**
   * Publishes one of which all works that is not `run`: the trouble shows when it takes over.
   * @param others the installed version that all else is passed on to
   */
  const publishBad = (name: string, run: string, others = version) =>
    publish(
      name,
      `
case $1-$2 in
  run-*) ${run} ;;
  upgrade-self-test) /opt/pipeops-agent/${others}/pipeops-agent "$@" | sed 's/"version":"[^"]*"/"version":"${name}"/' ;;
  *) exec /opt/pipeops-agent/${others}/pipeops-agent "$@" ;;
esac`,
    );

  return { agent, running, nothingLeft, settled, publish, publishBad };
}
