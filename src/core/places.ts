/**
 * Where everything of the product is on a machine (docs/ARCHITECTURE.md, "Names"): one value that is
 * passed to all who use it. The places of k3s are in k3s-places.ts.
 */

export const AGENT_USER = 'pipeops-agent';
/** Where programs come from, when nobody says otherwise (install.sh, "DEFAULT_BASE_URL"). */
export const DEFAULT_BASE_URL = 'https://get.pipeops.dev/agent';
export const UNIT_NAME = 'pipeops-agent.service';
/** Holds the links to what starts with the daemon. systemctl(1) makes and removes it, wherever units are. */
export const STARTED_WITH_AGENT_DIRECTORY = `/etc/systemd/system/${UNIT_NAME}.wants`;
/** By which systemd starts root's helper, one process for each request. */
export const HELPER_SOCKET_UNIT = 'pipeops-agent-helper.socket';
export const HELPER_SERVICE_UNIT = 'pipeops-agent-helper@.service';
export const SNAPSHOTS_TIMER_UNIT = 'pipeops-agent-snapshots.timer';
export const SNAPSHOTS_SERVICE_UNIT = 'pipeops-agent-snapshots.service';
export const K3S_UPGRADE_PATH_UNIT = 'pipeops-agent-k3s-upgrade.path';
export const K3S_UPGRADE_SERVICE_UNIT = 'pipeops-agent-k3s-upgrade.service';
export const K3S_ASKED_TIMER_UNIT = 'pipeops-agent-k3s-asked.timer';
export const K3S_ASKED_SERVICE_UNIT = 'pipeops-agent-k3s-asked.service';
/** The target of root's link to the daemon's socket, relative to that link. */
export const DAEMON_SOCKET_TARGET = 'daemon/agent.sock';

/** Where programs belong that are not the system's. Some systems have it read-only. */
export const USR_LOCAL = '/usr/local';
/** What is laid over it then, and how it comes back at each start. */
export const USR_LOCAL_LAYER = '/var/lib/pipeops-usr-local';
export const USR_LOCAL_UNIT_FILE = '/etc/systemd/system/usr-local.mount';

/** What a package of the system has elsewhere. The rest is fixed by systemd: /etc, /var/lib, /run. */
export interface PlaceOptions {
  /** Program, link and units are files of a package (docs/decisions/0040-packages.md). */
  readonly isPackaged?: boolean;
  /** The program is found in its `bin`. */
  readonly prefix?: string;
  readonly versionsDirectory?: string;
  readonly unitDirectory?: string;
}

export interface Places {
  /** The package manager alone writes and removes `executableLink`, the versions and the unit files. */
  readonly isPackaged: boolean;
  readonly versionsDirectory: string;
  /** Leads to the installed version. */
  readonly executableLink: string;
  readonly unitFile: string;
  readonly helperSocketUnitFile: string;
  readonly helperServiceUnitFile: string;
  readonly snapshotsTimerUnitFile: string;
  readonly snapshotsServiceUnitFile: string;

  readonly configDirectory: string;
  readonly configFile: string;
  /** The local policy: root's, read by the daemon. */
  readonly policyFile: string;
  /** Manifests of root that the daemon of a server keeps in the cluster: daemon/desired-state.ts. */
  readonly desiredDirectory: string;
  readonly controlPlaneCaFile: string;
  /** For the daemon alone. */
  readonly kubeconfigFile: string;
  /** On a worker: which server it joined (protocol/files/joined-server.ts). */
  readonly joinedServerFile: string;
  /** Exists while the daemon is being stopped for good, so that its session tells the control plane. */
  readonly leavingFile: string;

  /** The daemon's directory. Root never opens, trusts or deletes a file in it by its name. */
  readonly stateDirectory: string;
  /** Exists once the daemon was ready. Root only looks whether it exists, and is more careful then. */
  readonly wasReadyFile: string;
  readonly controlPlaneTokenFile: string;
  /** While another token is tried: protocol/files/token-trial.ts. */
  readonly tokenTrialFile: string;
  readonly proxyCredentialsFile: string;
  /** What the daemon has brought of `desiredDirectory`: protocol/files/kept-objects.ts. */
  readonly keptObjectsFile: string;
  /**
   * A release that the daemon has fetched for root's helper, which reads it as the word of a stranger: bounded, and
   * compared with its signatures.
   */
  readonly stagedReleaseDirectory: string;

  /** Root's own directory. */
  readonly hostStateDirectory: string;
  readonly inventoryFile: string;
  readonly stepsFile: string;
  /** The earlier state of what an installation has changed: see host/engine/originals.ts. */
  readonly originalsFile: string;
  readonly k3sTokenFile: string;
  /** How far a machine is that leaves its cluster (protocol/files/leave-note.ts). */
  readonly leaveNoteFile: string;
  /** Of a k3s that was here before us: see protocol/files/adoption.ts. It may hold secrets. */
  readonly adoptionFile: string;
  /** The installer of k3s, while it runs. */
  readonly k3sInstallerFile: string;
  /** The one that has installed k3s here, for machines that join. */
  readonly keptK3sInstallerFile: string;
  /** With which mirrors k3s has pulled an image: see host/k3s/registry-pull.ts. */
  readonly registriesPulledFile: string;
  /** What has come so far of large downloads. */
  readonly downloadDirectory: string;
  /** What the installer's own downloads trust, while it runs. */
  readonly downloadAuthoritiesFile: string;
  readonly kubectlCacheDirectory: string;
  /** What the running daemon was started with: see host/agent/service.ts. */
  readonly appliedFile: string;
  /** Exists while k3s must be restarted to read its present files. */
  readonly k3sRestartFile: string;
  /** When k3s was last restarted, and why: protocol/files/k3s-restarts.ts. */
  readonly k3sRestartsFile: string;
  /** Exists while the version is being changed: see protocol/files/upgrade.ts. */
  readonly upgradeFile: string;
  /** How the last change of the version ended. */
  readonly upgradeResultFile: string;
  /** Whether a person holds the version: see protocol/files/upgrade-hold.ts. */
  readonly upgradeHoldFile: string;
  /** Of the unit that changes it. */
  readonly upgradeUnitFile: string;
  /** A copy of the store, on which a version shows that it can use it. */
  readonly selfTestDirectory: string;
  /** Holds the path of the version before the installed one. */
  readonly previousExecutableFile: string;
  /** Holds the path of the linked version until that version has been seen to start. */
  readonly unprovenExecutableFile: string;
  /** Exists while k3s is upgraded: see protocol/files/k3s-upgrade.ts. */
  readonly k3sUpgradeFile: string;
  /** How the last upgrade of k3s ended. */
  readonly k3sUpgradeResultFile: string;
  /** What the control plane may lead through the cluster: see protocol/files/k3s-lead.ts. */
  readonly k3sLeadFile: string;
  /** Start what carries it out, as soon as the record is there. */
  readonly k3sUpgradePathUnitFile: string;
  readonly k3sUpgradeServiceUnitFile: string;
  /** Look from time to time whether a server asks this node for another k3s. */
  readonly k3sAskedTimerUnitFile: string;
  readonly k3sAskedServiceUnitFile: string;
  /** What waits for a person's yes or no: protocol/files/asked.ts. */
  readonly askedFile: string;
  /** Root's: snapshots of the cluster's data, and the key that opens them. Stays when all else is removed. */
  readonly snapshotsDirectory: string;
  readonly snapshotKeyFile: string;
  /** How the schedule went: protocol/files/snapshot.ts. */
  readonly snapshotStateFile: string;
  /** What root's helper did, for whom, and what came of it: one line of JSON each. */
  readonly helperJournalFile: string;
  /** The same of requests that changed nothing: reading and refused ones. However many, they push out nothing else. */
  readonly helperOtherFile: string;
  /** The newest that the control plane has asked for: src/machine/helper/support-bundle.ts. */
  readonly supportBundlesDirectory: string;
  /** How full the disks were (src/protocol/files/disk-samples.ts). */
  readonly diskSamplesFile: string;

  /**
   * Root's directory, made at each start of the daemon: see host/agent/runtime-directory.ts. In it
   * systemd makes `daemon`, the daemon's own directory.
   */
  readonly runtimeDirectory: string;
  /** The token for the doors on loopback; root and the group can read it. */
  readonly localTokenFile: string;
  /** The token of the start before this one, which is accepted for a while. */
  readonly localTokenBeforeFile: string;
  /** Root's: by what a copy of the machine is known (protocol/files/machine-mark.ts). */
  readonly machineMarkFile: string;
  readonly socketLink: string;
  /** The daemon's own directory in it. The unit names it, and systemd passes its path to the daemon. */
  readonly ownRuntimeDirectory: string;
  readonly lockFile: string;
  /** On which systemd listens for the helper: for the daemon and root alone. */
  readonly helperSocket: string;
  readonly helperLockFile: string;
  /** For `askedFile`, `helperJournalFile` and `helperOtherFile`. */
  readonly helperNotesLockFile: string;
  /** One at a time makes, removes or restores snapshots. */
  readonly snapshotLockFile: string;
  /** On a machine that joins by what a server offers, until it restarts: how to know that server. */
  readonly offerCertificateFile: string;
}

/** The defaults are those of install.sh and of the unit in systemd/. */
export function placesOf({
  isPackaged = false,
  prefix = USR_LOCAL,
  versionsDirectory = '/opt/pipeops-agent',
  unitDirectory = '/etc/systemd/system',
}: PlaceOptions = {}): Places {
  const config = '/etc/pipeops-agent';
  const state = '/var/lib/pipeops-agent';
  const hostState = '/var/lib/pipeops-agent-host';
  const runtime = '/run/pipeops-agent';
  return {
    isPackaged,
    versionsDirectory,
    executableLink: `${prefix}/bin/pipeops-agent`,
    ...unitFilesIn(unitDirectory),

    configDirectory: config,
    configFile: `${config}/config.yaml`,
    policyFile: `${config}/policy.yaml`,
    desiredDirectory: `${config}/desired`,
    controlPlaneCaFile: `${config}/control-plane-ca.pem`,
    kubeconfigFile: `${config}/kubeconfig`,
    joinedServerFile: `${config}/server.json`,
    leavingFile: `${config}/leaving`,

    stateDirectory: state,
    wasReadyFile: `${state}/was-ready`,
    controlPlaneTokenFile: `${state}/credentials/control-plane-token`,
    tokenTrialFile: `${state}/credentials/control-plane-token.trial`,
    proxyCredentialsFile: `${state}/credentials/proxy`,
    keptObjectsFile: `${state}/kept-objects.json`,
    stagedReleaseDirectory: `${state}/staged-release`,

    hostStateDirectory: hostState,
    inventoryFile: `${hostState}/inventory.json`,
    stepsFile: `${hostState}/steps.json`,
    originalsFile: `${hostState}/originals.json`,
    k3sTokenFile: `${hostState}/k3s-join-token`,
    leaveNoteFile: `${hostState}/leave.json`,
    adoptionFile: `${hostState}/adoption.json`,
    k3sInstallerFile: `${hostState}/k3s-install.sh`,
    keptK3sInstallerFile: `${hostState}/kept-k3s-install.sh`,
    registriesPulledFile: `${hostState}/registries-pulled`,
    downloadDirectory: `${hostState}/downloads`,
    downloadAuthoritiesFile: `${hostState}/download-authorities.pem`,
    kubectlCacheDirectory: `${hostState}/kubectl-cache`,
    appliedFile: `${hostState}/applied`,
    k3sRestartFile: `${hostState}/k3s-restart-needed`,
    k3sRestartsFile: `${hostState}/k3s-restarts.json`,
    upgradeFile: `${hostState}/upgrade.json`,
    upgradeResultFile: `${hostState}/upgrade-result.json`,
    upgradeHoldFile: `${hostState}/upgrade-hold.json`,
    selfTestDirectory: '/run/pipeops-agent-upgrade',
    previousExecutableFile: `${hostState}/previous-executable`,
    unprovenExecutableFile: `${hostState}/unproven-executable`,
    k3sUpgradeFile: `${hostState}/k3s-upgrade.json`,
    k3sUpgradeResultFile: `${hostState}/k3s-upgrade-result.json`,
    k3sLeadFile: `${hostState}/k3s-lead.json`,
    askedFile: `${hostState}/asked.json`,
    snapshotsDirectory: '/var/lib/pipeops-agent-snapshots',
    snapshotKeyFile: '/var/lib/pipeops-agent-snapshots/key',
    snapshotStateFile: '/var/lib/pipeops-agent-snapshots/state.json',
    helperJournalFile: `${hostState}/helper.jsonl`,
    helperOtherFile: `${hostState}/helper-other.jsonl`,
    supportBundlesDirectory: `${hostState}/support-bundles`,
    diskSamplesFile: `${hostState}/disk-samples.json`,

    runtimeDirectory: runtime,
    localTokenFile: `${runtime}/local-token`,
    localTokenBeforeFile: `${runtime}/local-token-before`,
    machineMarkFile: `${runtime}/machine`,
    socketLink: `${runtime}/agent.sock`,
    ownRuntimeDirectory: `${runtime}/daemon`,
    lockFile: '/run/pipeops-agent.lock',
    helperSocket: '/run/pipeops-agent-helper.sock',
    helperLockFile: '/run/pipeops-agent-helper.lock',
    helperNotesLockFile: '/run/pipeops-agent-helper-notes.lock',
    snapshotLockFile: '/run/pipeops-agent-snapshots.lock',
    offerCertificateFile: '/run/pipeops-agent-offer.pem',
  };
}

function unitFilesIn(unitDirectory: string) {
  return {
    unitFile: `${unitDirectory}/${UNIT_NAME}`,
    helperSocketUnitFile: `${unitDirectory}/${HELPER_SOCKET_UNIT}`,
    helperServiceUnitFile: `${unitDirectory}/${HELPER_SERVICE_UNIT}`,
    snapshotsTimerUnitFile: `${unitDirectory}/${SNAPSHOTS_TIMER_UNIT}`,
    snapshotsServiceUnitFile: `${unitDirectory}/${SNAPSHOTS_SERVICE_UNIT}`,
    upgradeUnitFile: `${unitDirectory}/pipeops-agent-upgrade.service`,
    k3sUpgradePathUnitFile: `${unitDirectory}/${K3S_UPGRADE_PATH_UNIT}`,
    k3sUpgradeServiceUnitFile: `${unitDirectory}/${K3S_UPGRADE_SERVICE_UNIT}`,
    k3sAskedTimerUnitFile: `${unitDirectory}/${K3S_ASKED_TIMER_UNIT}`,
    k3sAskedServiceUnitFile: `${unitDirectory}/${K3S_ASKED_SERVICE_UNIT}`,
  };
}

/** For texts that are the same on every machine, such as help. */
export const DEFAULT_PLACES = placesOf();

/** Of packages, as scripts/package/nfpm.yaml has it. SELinux lets programs start from libexec. */
export const PACKAGED_PLACES = placesOf({
  isPackaged: true,
  prefix: '/usr',
  versionsDirectory: '/usr/libexec/pipeops-agent',
  unitDirectory: '/usr/lib/systemd/system',
});

/** @param execPath of the running program, links resolved */
export function isPackagedProgram(execPath: string): boolean {
  return execPath.startsWith(`${PACKAGED_PLACES.versionsDirectory}/`);
}
