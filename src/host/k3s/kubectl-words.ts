/** Explains a failure of kubectl, in our own words where the cause is known. */

/** At most so many characters of kubectl's own text are shown. */
const TEXT_LENGTH_MAX = 300;

interface KubectlTrouble {
  /** The end of a sentence: "Kubernetes does not answer: it is not ready to answer". */
  readonly text: string;
  /** Whether it may pass, for example when k3s has restarted. */
  readonly passing: boolean;
}

const DOWN = 'nothing answers on port 6443; k3s does not run, or still starts';
const BUSY = 'it does not answer in time; k3s still starts, or the machine is too busy';

/**
 * Known causes, by a part of kubectl's text (k8s.io/kubectl, "pkg/cmd/util/helpers.go";
 * k8s.io/apimachinery, errors).
 */
const KNOWN: readonly (readonly [RegExp, KubectlTrouble])[] = [
  [
    /was refused - did you specify|connection refused|no such host|network is unreachable/i,
    { text: DOWN, passing: true },
  ],
  [/i\/o timeout|deadline exceeded|handshake timeout|timed out/i, { text: BUSY, passing: true }],
  [
    /\bEOF\b|connection reset|ServiceUnavailable|currently unable to handle|apiserver not ready/i,
    { text: 'it is not ready to answer; k3s still starts, or is stopping', passing: true },
  ],
  [
    /x509: /i,
    { text: 'its certificate is not that of this cluster; compare the clocks', passing: false },
  ],
  [
    /Unauthorized|must be logged in/i,
    { text: "it does not accept the administrator's credentials", passing: false },
  ],
  [
    /\.kube\/config|k3s\.yaml|KUBECONFIG/,
    { text: 'k3s has not written its kubeconfig, or it cannot be read', passing: true },
  ],
];

/** @param stderr everything that kubectl has printed there */
export function kubectlTrouble(stderr: string): KubectlTrouble {
  // Its libraries log lines such as `E1129 10:00:00.123456 17 memcache.go:265] "Unhandled Error"`.
  const lines = stderr.split('\n').filter((line) => !/^[EWIF]\d{4} /.test(line));
  const said = lines.filter((line) => line.trim() !== '').join('; ');
  const known = KNOWN.find(([pattern]) => pattern.test(said === '' ? stderr : said))?.[1];
  if (known !== undefined) {
    return known;
  }
  const text = said.replaceAll(/Error from server(?: \(\w+\))?: |^error: /g, '').trim();
  return {
    text: text === '' ? 'kubectl gave no reason' : text.slice(0, TEXT_LENGTH_MAX),
    passing: false,
  };
}
