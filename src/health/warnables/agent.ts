/** What the agent itself needs: its store, its policy, its settings, its version. */
import { DEFAULT_PLACES } from '../../core/places.ts';
import { problemsOf, type Warnable } from '../warnable.ts';

/** An upgrade changes the link, and restarts the agent a little later. */
const UPDATE_VISIBLE_AFTER_MS = 10 * 60_000;

export const journal: Warnable = {
  id: 'journal',
  title: 'Journal of commands',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'A command that cannot be kept is not begun: it could be lost, or run twice.',
  remedy: `Nothing is lost: commands wait, and the agent goes on by itself once it can write again. Make room on
the disk of \`${DEFAULT_PLACES.stateDirectory}\`: \`sudo journalctl --vacuum-size=200M\`. Where the disk has room, see
whether it is mounted read-only: \`findmnt -T ${DEFAULT_PLACES.stateDirectory}\`.`,
  find: ({ journalTrouble }) => problemsOf(journalTrouble),
};

export const policy: Warnable = {
  id: 'policy',
  title: 'Policy file',
  severity: 'blocks',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'What root meant is unknown, so every command and every proxied request is refused.',
  remedy: `The message lists the problems of the file with their lines. Correct it, and put it in force:
\`sudo pipeops-agent policy apply --file ${DEFAULT_PLACES.policyFile}\`. Or begin with a preset:
\`sudo pipeops-agent policy presets\`.`,
  find: ({ policyProblem }) => problemsOf(policyProblem),
};

export const settings: Warnable = {
  id: 'settings',
  title: 'Settings',
  severity: 'warns',
  dependsOn: [],
  visibleAfterMs: 0,
  why: 'A setting that is not known has no effect: it may be a mistake in writing.',
  remedy: `Correct the line that the message names, then \`sudo systemctl restart pipeops-agent\`. If a newer version
has written it, that one uses it.`,
  find: ({ unknownSettings }) =>
    unknownSettings.map((message) => ({
      about: message,
      code: 'SETTING_UNKNOWN',
      message,
      hint: 'Correct the file, then: sudo systemctl restart pipeops-agent. If a newer version wrote it, that one uses it',
    })),
};

export const update: Warnable = {
  id: 'update',
  title: 'Installed version',
  severity: 'warns',
  dependsOn: [],
  visibleAfterMs: UPDATE_VISIBLE_AFTER_MS,
  why: 'The running agent is of another version than the installed one: what was mended there is not in force yet.',
  remedy: 'Let it take over: `sudo systemctl restart pipeops-agent`. Applications do not notice.',
  find: ({ versions: { running, installed } }) =>
    installed === undefined || installed === running
      ? []
      : [
          {
            code: 'CHECK_FAILED',
            message: `Version ${installed} is installed, but version ${running} still runs`,
            hint: 'Start the installed one: sudo systemctl restart pipeops-agent',
          },
        ],
};
