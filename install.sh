#!/bin/sh
# Installs pipeops-agent: makes this machine a managed Kubernetes node.
#
#   curl -fsSL https://get.pipeops.io/agent/install.sh | sudo sh -s -- --token-file FILE
#
# Finds the platform, downloads the program, checks its SHA-256, places it under
# /opt/pipeops-agent/<version>, links it, and hands over to "pipeops-agent install",
# which takes all arguments and variables. See: pipeops-agent install --help
#
#   PIPEOPS_BASE_URL  where the program comes from
#   PIPEOPS_VERSION   which version (default: what <base>/latest says)
#
# Everything is in functions and runs from the last line: half a download runs nothing.
set -eu

DEFAULT_BASE_URL=https://get.pipeops.io/agent
VERSIONS=/opt/pipeops-agent
LINK=/usr/local/bin/pipeops-agent
TEMPORARY=

say() { printf '%s\n' "$*" >&2; }

# fail EXIT CODE MESSAGE HINT: as the program itself reports errors.
fail() {
  say "pipeops-agent: error: $3 [$2]"
  say "pipeops-agent: hint: $4"
  exit "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

clean_up() {
  [ -z "$TEMPORARY" ] || rm -rf "$TEMPORARY"
  rmdir "$VERSIONS" 2>/dev/null || true # only when it is empty: nothing was installed
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fail 4 NOT_ROOT "This changes the machine and needs root" \
    "Run it with sudo: curl -fsSL … | sudo sh"
  [ "$(uname -s)" = Linux ] || fail 4 HOST_UNSUPPORTED "This is $(uname -s), not Linux" \
    "Use a Linux machine"
  case "$(uname -m)" in
    x86_64 | amd64) PLATFORM=linux-x64 ;;
    aarch64 | arm64) PLATFORM=linux-arm64 ;;
    *) fail 4 HOST_UNSUPPORTED "There is no build for $(uname -m)" \
      "Use an x86-64 or arm64 machine" ;;
  esac
  has curl || has wget || fail 7 TOOL_MISSING "Neither curl nor wget is here" \
    "Install one of them, for example: apt-get install curl"
  for tool in sha256sum gzip; do
    has "$tool" || fail 7 TOOL_MISSING "$tool is not here" "Install it with your package manager"
  done
}

# fetch URL FILE
fetch() {
  if has curl; then
    case "$1" in https:*) only='=https' ;; *) only='=http,https' ;; esac
    curl -fsSL --proto "$only" --retry 3 --connect-timeout 15 -o "$2" "$1"
  else
    wget -q -T 30 -O "$2" "$1"
  fi || fetch_failed "$1" "$2"
}

fetch_failed() {
  case "$(df -Pk "$(dirname "$2")" 2>/dev/null | awk 'NR == 2 { print ($4 < 64) }')" in
    1) fail 4 DISK_FULL "Cannot store $1: no space left" "Free some space below $VERSIONS" ;;
  esac
  fail 6 DOWNLOAD_FAILED "Cannot fetch $1" \
    "Check the address and that this machine reaches it; HTTPS_PROXY is honoured"
}

# published_hash FILE_NAME: what SHA256SUMS says about it.
published_hash() { awk -v name="$1" '$2 == name { print $1 }' "$TEMPORARY/SHA256SUMS"; }

hash_of() { sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1; }

find_version() {
  VERSION=${PIPEOPS_VERSION:-}
  if [ -z "$VERSION" ]; then
    fetch "$BASE_URL/latest" "$TEMPORARY/latest"
    VERSION=$(head -c 100 "$TEMPORARY/latest" | tr -d ' \r\n')
  fi
  case "$VERSION" in
    '' | [!0-9A-Za-z]* | *[!0-9A-Za-z.+-]*)
      fail 6 DOWNLOAD_CORRUPT "What $BASE_URL/latest says is not a version" \
        "Check the address, or name a version: PIPEOPS_VERSION=1.2.3" ;;
  esac
}

place() {
  name=pipeops-agent-$PLATFORM
  program=$VERSIONS/$VERSION/pipeops-agent
  fetch "$BASE_URL/$VERSION/SHA256SUMS" "$TEMPORARY/SHA256SUMS"
  wanted=$(published_hash "$name.gz")
  [ -n "$wanted" ] || fail 6 DOWNLOAD_CORRUPT "SHA256SUMS of $VERSION does not name $name.gz" \
    "Check the version and the address"
  if [ "$(hash_of "$program")" != "$(published_hash "$name")" ]; then
    say "Downloading pipeops-agent $VERSION for $PLATFORM"
    fetch "$BASE_URL/$VERSION/$name.gz" "$TEMPORARY/$name.gz"
    [ "$(hash_of "$TEMPORARY/$name.gz")" = "$wanted" ] ||
      fail 6 DOWNLOAD_CORRUPT "The SHA-256 of $name.gz is not the published one" \
        "Run it again; if it stays so, a proxy or the mirror changes downloads"
    gzip -dc "$TEMPORARY/$name.gz" >"$TEMPORARY/pipeops-agent" ||
      fail 4 DISK_FULL "Cannot unpack $name.gz" "Free 120 MB below $VERSIONS"
    chmod 0755 "$TEMPORARY/pipeops-agent"
    mkdir -p "$VERSIONS/$VERSION"
    mv -f "$TEMPORARY/pipeops-agent" "$program"
  fi
  mkdir -p "$(dirname "$LINK")"
  ln -s "$program" "$TEMPORARY/link"
  mv -f "$TEMPORARY/link" "$LINK"
}

main() {
  check_machine
  BASE_URL=${PIPEOPS_BASE_URL:-$DEFAULT_BASE_URL}
  BASE_URL=${BASE_URL%/}
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  mkdir -p "$VERSIONS"
  TEMPORARY=$(mktemp -d "$VERSIONS/.download.XXXXXX")
  find_version
  place
  clean_up
  TEMPORARY=
  trap - EXIT INT TERM HUP
  # Standard input is this script: the program asks on the terminal itself.
  exec "$LINK" install "$@" </dev/null
}

# Braces: a cut anywhere in this line is a syntax error, and not a call without arguments.
{ main "$@"; }
