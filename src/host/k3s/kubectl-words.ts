/** What kubectl prints about a failure, in words of ours where the cause is known. */

/** Characters of kubectl's own text that are repeated. */
const TEXT_LENGTH_MAX = 300;

interface KubectlTrouble {
  /** As the end of a sentence: "Kubernetes does not answer: it does not run, or still starts". */
  readonly text: string;
  /** A restart of k3s may end it. */
  readonly passing: boolean;
}

const DOWN = 'nothing answers on port 6443; k3s does not run, or still starts';
const BUSY = 'it does not answer in time; k3s still starts, or the machine is too busy';

/** By what is in its text (k8s.io/kubectl, "pkg/cmd/util/helpers.go"; k8s.io/apimachinery, errors). */
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

/** @param stderr all that it printed there */
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
