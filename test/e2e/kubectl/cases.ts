/** The kubectl conformance list, as shell scripts: what a person would type (see ways.ts for `k`). */
import { WEB_IMAGE, WEB_IMAGE_2, WEB_PORT } from '../../vm/images.ts';

export interface Case {
  readonly name: string;
  readonly script: string;
  /** Of the API server's own way; 0 when absent. */
  readonly exitCode?: number;
}

const CONTAINER = `name: web, image: "${WEB_IMAGE}", imagePullPolicy: Never`;

/** An application, a pod to be entered, and a pod that repeats what it is told. */
const MANIFEST = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {part: settings}}
data: {value: "1"}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: ${WEB_PORT}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - ${CONTAINER.replace(/^/, '{')}, ports: [{containerPort: ${WEB_PORT}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{${CONTAINER}}]
`;

const file = (name: string, text: string) => `cat > ${name} <<'END'\n${text}\nEND\n`;

const configMap = (name: string, value: string, more = '') => `
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "${name}"${more}},
 "data": {"value": "${value}"}}
`;

/** Before everything else; in this order. */
export const PREPARE: readonly Case[] = [
  { name: 'create namespace', script: 'k create namespace "$NS"' },
  {
    name: 'apply a manifest and wait for it',
    script: `${file('app.yaml', MANIFEST)}
      k wait --for=create serviceaccount/default --timeout=60s > /dev/null
      k apply -f app.yaml
      k rollout status deployment/web --timeout=60s | tail -n 1
      k wait --for=condition=Ready pod/box --timeout=60s`,
  },
];

export const READ: readonly Case[] = [
  { name: 'get: table', script: 'k get pods,services,deployments,configmaps' },
  { name: 'get: wide', script: 'k get deployments,nodes -o wide; k get pods -o wide | wc -l' },
  { name: 'get: yaml', script: 'k get service/web deployment/web -o yaml' },
  { name: 'get: json', script: 'k get configmap/settings -o json; k get namespace "$NS" -o json' },
  {
    name: 'get: by selector, field, column, path and order',
    script: `
      k get pods -l app=web -o custom-columns=IMAGE:.spec.containers[0].image
      k get pods --field-selector metadata.name=box -o name
      k get configmaps --sort-by=.metadata.name -o jsonpath='{.items[*].metadata.name}'
      k get pods -l app=box --show-labels`,
  },
  { name: 'get: of all namespaces', script: 'k get pods -A --field-selector metadata.name=none' },
  {
    name: 'get: what is not there',
    exitCode: 1,
    script: 'k get configmap none || echo "exit $?"; k get nonsense',
  },
  {
    name: 'get: in pages',
    script: `
      for i in $(seq 20); do echo '---'; printf '%s' \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"page-'$i'","labels":{"page":"y"}}}'
      echo; done > pages.yaml
      k create -f pages.yaml | wc -l
      k get configmaps -l page=y --chunk-size=7 -o name -v=6 2> requests
      grep -c 'limit=7' requests`,
  },
  {
    name: 'get --raw: discovery, health, version, OpenAPI',
    script: `
      k get --raw /healthz; k get --raw /version; k get --raw /apis/apps/v1
      k get --raw /openapi/v3 | head -c 200; k get --raw /openapi/v2 | wc -c`,
  },
  { name: 'describe', script: 'k describe configmap/settings service/web' },
  {
    name: 'explain',
    exitCode: 4,
    script: 'k explain deployment.spec.strategy --recursive; k explain pod.spec.nope || exit 4',
  },
  { name: 'api-resources', script: 'k api-resources --sort-by=name; k api-versions' },
  { name: 'version', script: 'k version -o yaml' },
  {
    name: 'auth can-i',
    script: 'k auth can-i create deployments.apps; k auth can-i delete pods/nonsense',
  },
  { name: 'top, where no metrics exist', exitCode: 1, script: 'k top nodes || k top pods' },
  {
    name: 'watch',
    script: `
      k create configmap watched --from-literal=value=1 > /dev/null
      k get configmaps --field-selector metadata.name=watched --watch --output-watch-events \
        -o jsonpath='{.type} {.object.data.value}{"\\n"}' > seen &
      until_seen seen ADDED
      k patch configmap watched -p '{"data":{"value":"2"}}' > /dev/null
      until_seen seen 'MODIFIED 2'
      k delete configmap watched > /dev/null
      until_seen seen DELETED
      kill $!
      cat seen`,
  },
  {
    name: 'events --watch',
    script: `
      k events --watch > seen &
      until_seen seen Started
      k run event --image=${WEB_IMAGE} --image-pull-policy=Never --restart=Never -- true
      until_seen seen Pod/event
      kill $!
      k delete pod event --grace-period=1`,
  },
];

export const WRITE: readonly Case[] = [
  {
    name: 'apply: unchanged, changed, and on the server',
    script: `
      k apply -f app.yaml
      sed 's/value: "1"/value: "2"/' app.yaml > changed.yaml
      k apply -f changed.yaml
      ${file('own.json', configMap('own', '1'))}
      k apply --server-side -f own.json
      sed -i 's/"1"/"2"/' own.json
      k apply --server-side --field-manager=other -f own.json || echo "exit $?"
      k apply --server-side --field-manager=other --force-conflicts -f own.json
      k get configmap own -o yaml --show-managed-fields`,
  },
  {
    name: 'patch: json, merge, strategic',
    exitCode: 5,
    script: `
      k patch configmap settings --type=json -p '[{"op":"replace","path":"/data/value","value":"j"}]'
      k patch configmap settings --type=merge -p '{"data":{"merged":"m","value":null}}'
      k get configmap settings -o jsonpath='{.data}'
      k patch deployment web --type=strategic \
        -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}'
      k get deployment web -o jsonpath='{.spec.template.spec.containers}'
      k patch deployment web --type=json -p '[{"op":"remove","path":"/spec/nope"}]' || exit 5`,
  },
  {
    name: 'replace, edit, label, annotate',
    script: `
      k get configmap settings -o json | sed 's/"merged": "m"/"merged": "r"/' | k replace -f -
      KUBE_EDITOR="sed -i s/merged:\\ r/merged:\\ e/" k edit configmap settings
      k label configmap settings part=other --overwrite
      k annotate configmap settings note='two words'
      k get configmap settings -o yaml`,
  },
  {
    name: 'create: invalid, twice, dry',
    exitCode: 6,
    script: `
      k create configmap Not_A_Name || echo "exit $?"
      k create configmap settings || echo "exit $?"
      k create configmap dry --dry-run=server -o yaml
      echo '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"date":{}}' > typo.json
      k create -f typo.json || exit 6`,
  },
  {
    name: 'diff',
    exitCode: 1,
    script: `
      sed 's/replicas: 2/replicas: 3/' app.yaml > three.yaml
      k diff -f three.yaml | grep '^[+-] '
      exit \${PIPESTATUS[0]}`,
  },
  {
    name: 'delete, with a finalizer',
    exitCode: 1,
    script: `
      ${file('held.json', configMap('held', '1', ', "finalizers": ["example.com/hold"]'))}
      k create -f held.json
      k delete configmap held --wait=false
      k get configmap held -o jsonpath='{.metadata.deletionGracePeriodSeconds}'
      k wait --for=delete configmap/held --timeout=0 || echo "exit $?"
      k patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}'
      k wait --for=delete configmap/held --timeout=30s
      k delete configmaps -l page=y | wc -l
      k delete configmap held --ignore-not-found; k delete configmap held`,
  },
  {
    name: 'scale, set image, rollout status, history, undo, restart',
    script: `
      k rollout status deployment/web --timeout=60s | tail -n 1
      k scale deployment web --replicas=1
      k set image deployment/web web=${WEB_IMAGE_2}
      k rollout status deployment/web --timeout=60s | tail -n 1
      k rollout history deployment/web
      k rollout undo deployment/web
      k rollout status deployment/web --timeout=60s | tail -n 1
      k rollout restart deployment/web
      k rollout status deployment/web --timeout=60s | tail -n 1
      k get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'`,
  },
  {
    name: 'run a job and wait for it',
    script: `
      k create job sum --image=${WEB_IMAGE} --dry-run=client -o json -- sh -c 'seq 3; exit 0' |
        sed 's/"resources": {}/"imagePullPolicy": "Never"/' | k create -f -
      k wait --for=condition=Complete job/sum --timeout=60s
      k logs job/sum
      k delete job sum`,
  },
  {
    name: 'a Secret is written and read',
    script: `
      k create secret generic key --from-literal=password=hidden
      k get secret key -o jsonpath='{.data.password}' | base64 -d
      k delete secret key`,
  },
];

const EXEC: readonly Case[] = [
  {
    name: 'exec: output, errors and exit code',
    exitCode: 7,
    script: `k exec box -- sh -c 'echo out; echo err >&2; exit 7'`,
  },
  {
    name: 'exec: standard input',
    script: 'seq 100000 | k exec -i box -- sh -c "wc -l; echo end"',
  },
  {
    name: 'exec: what is not there',
    exitCode: 1,
    script: 'k exec box -- nonsense || echo "exit $?"; k exec none -- true',
  },
  {
    name: 'exec: with a terminal',
    exitCode: 5,
    script: `
      mkfifo keys; sleep 60 > keys & holder=$!
      script -qefc 'k exec -it box -- sh' screen < keys > /dev/null & shell=$!
      until_seen screen '#'
      echo '[ -t 0 ] && echo a-"terminal"; exit 5' > keys
      wait $shell || code=$?
      kill $holder
      grep -o a-terminal screen
      rm keys screen
      exit $code`,
  },
  {
    name: 'exec: 32 MiB out',
    script: 'k exec box -- head -c 33554432 /dev/zero | sha256sum',
  },
];

const LOGS: readonly Case[] = [
  {
    name: 'logs: whole, last lines, followed',
    exitCode: 8,
    script: `
      for line in one two; do k exec box -- sh -c "echo $line > /proc/1/fd/1"; done
      k logs box --tail=2
      k logs -f box --tail=1 > seen &
      until_seen seen two
      until grep -q three seen; do k exec box -- sh -c 'echo three > /proc/1/fd/1'; done
      kill $!
      uniq seen
      k logs -l app=web --prefix --tail=0
      k logs box -c none || exit 8`,
  },
];

/** They open streams: run with each of kubectl's protocols. */
export const STREAM: readonly Case[] = [
  ...EXEC,
  ...LOGS,
  {
    name: 'attach',
    script: `
      k run echo --image=${WEB_IMAGE} --image-pull-policy=Never --restart=Never --stdin --attach=false \
        --command -- sh -c 'while read line; do echo "got $line"; [ "$line" = end ] && exit 0; done'
      k wait --for=condition=Ready pod/echo --timeout=60s
      printf 'one\\nend\\n' | k attach -i echo 2> /dev/null
      k delete pod echo --grace-period=1`,
  },
  {
    name: 'cp: 100 MB in and out',
    script: `
      head -c 100000000 /dev/urandom > big
      k cp big box:/tmp/big
      k exec box -- busybox sha256sum /tmp/big | cut -d ' ' -f 1 > there
      k cp box:/tmp/big back 2> /dev/null
      [ "$(sha256sum < back)" = "$(cat there)  -" ] && cmp big back && echo the same
      k exec box -- rm /tmp/big
      rm big back there`,
  },
  {
    name: 'port-forward: 50 connections at once',
    script: `
      for target in pod/box service/web; do
        port=${WEB_PORT}; [ $target = pod/box ] || port=80
        k port-forward $target :$port > forward &
        until_seen forward Forwarding
        address=$(sed -n 's/^Forwarding from \\(127[^ ]*\\).*/\\1/p' forward)
        seq 50 | xargs -P 50 -I{} curl -sS -m 30 http://$address/ | sort | uniq -c
        kill $!
        rm forward
      done`,
  },
];

export const PROXY: readonly Case[] = [
  {
    name: 'proxy sub-resource of a pod and a service',
    exitCode: 9,
    script: `
      api=/api/v1/namespaces/$NS
      k get --raw $api/pods/box:${WEB_PORT}/proxy/
      k get --raw $api/services/web:http/proxy/
      k get --raw "$api/pods/http:box:${WEB_PORT}/proxy/cgi-bin/env?a=%2F..&b=+" | grep QUERY_STRING
      k get --raw $api/services/web:80/proxy/none || exit 9`,
  },
];

/** Last: it takes the node out of service for a while. */
export const DRAIN: readonly Case[] = [
  {
    name: 'cordon, drain, uncordon',
    script: `
      node=$(k get nodes -o jsonpath='{.items[0].metadata.name}')
      k label pod box drain="$NS"
      k cordon "$node"
      k drain "$node" --ignore-daemonsets --force --pod-selector=drain=$NS --timeout=60s
      k get pod box --ignore-not-found
      k uncordon "$node"`,
  },
];
