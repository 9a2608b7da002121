#!/bin/sh
# Makes this machine a node of an existing cluster. Takes what its users know:
#
#   join-worker.sh --token-file FILE [flags]        "pipeops-agent join" with the same flags
#   join-worker.sh SERVER TOKEN                     the address of a server and its token
#   K3S_URL=https://… K3S_TOKEN=… join-worker.sh    k3s' own variables
#
# TOKEN is k3s' or a join token. Where the program is not on this machine, install.sh of the same
# directory tree fetches it.
set -eu

# Not by PATH: sudo takes /usr/local/bin out of it on some systems.
PROGRAM=/usr/local/bin/pipeops-agent
# Empty where this script comes through a pipe.
INSTALL_SH=
[ ! -f "$0" ] || INSTALL_SH=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)/install.sh

fail() {
  echo "pipeops-agent: error: $3 [$2]" >&2
  echo "pipeops-agent: hint: $4" >&2
  exit "$1"
}

# run SUBCOMMAND FLAGS...
run() {
  [ ! -x "$PROGRAM" ] || exec "$PROGRAM" "$@"
  [ ! -r "$INSTALL_SH" ] || exec sh "$INSTALL_SH" "$@"
  fail 4 NOT_INSTALLED "Cannot join: $PROGRAM is not on this machine" \
    'Copy it from a server of the cluster, then run this again'
}

# join_server SERVER TOKEN
join_server() {
  case $1 in
    '' | *[!0-9A-Za-z.:-]*) fail 2 USAGE 'The first word is not the address of a server' \
      'As in: join-worker.sh 10.0.0.1 TOKEN' ;;
    *:*:*) K3S_URL="https://[$1]:6443" ;;
    *:*) K3S_URL="https://$1" ;;
    *) K3S_URL="https://$1:6443" ;;
  esac
  K3S_TOKEN=$2
  join_by_variables
}

join_by_variables() {
  NODE_TYPE=agent
  export K3S_URL K3S_TOKEN NODE_TYPE
  run install
}

case $#-${1-} in
  0-)
    [ -z "${K3S_URL:-}" ] || join_by_variables
    run join ;;
  *--*) run join "$@" ;;
  2-*)
    case $2 in
      # It carries the addresses of its servers. By a file and not as a word: words can be read.
      pj1.*)
        umask 077
        file=$(mktemp)
        trap 'rm -f "$file"' EXIT
        printf '%s\n' "$2" >"$file"
        status=0
        (run join --token-file "$file") || status=$?
        exit "$status" ;;
      *) join_server "$1" "$2" ;;
    esac ;;
  *) fail 2 USAGE 'Give the address of a server and its token, or flags' \
    'As in: join-worker.sh 10.0.0.1 TOKEN, or join-worker.sh --token-file FILE' ;;
esac
