#!/bin/sh
# Installs pipeops-agent on this machine:
#
#   curl -fsSL https://get.pipeops.dev/agent/install.sh | sudo sh -s -- [word] [flags]
#
#   install    (also when no word is given) makes this machine a server of its own cluster
#   join       makes it a worker of a cluster: --token-file FILE
#   upgrade    brings what is installed here to a newer version; refuses a bare machine
#   uninstall  removes what was installed
#   version    prints the installed version; needs no root
#
# Where a package of apt or dnf has brought the program, the first three say what to run instead.
# They download the program for this platform, check the signature of its release (with openssl 3,
# where it is here) and its SHA-256 hash, place it in /opt/pipeops-agent/<version> and run its "install" or
# "join" with the flags. Where there
# is no /usr/local/bin/pipeops-agent yet, it is made a link to it; an older program stays in that place
# until the new one has taken over. The other two download nothing: the installed program does it.
# Installs nothing else. Safe to run again.
#
# PIPEOPS_VERSION   the version to install; the newest when not set
# PIPEOPS_BASE_URL  where programs come from; https://get.pipeops.dev/agent when not set
# PIPEOPS_ALLOW_EXPIRED  "yes" takes a release that has expired, for a machine whose clock cannot be set
# HTTPS_PROXY, NO_PROXY, and every variable that "pipeops-agent install" knows, pass through. sudo
# drops what was exported before it: write "curl … | sudo NAME=value sh", or use the flags. What has
# arrived is printed. Secrets go into files: sudo would log them.
#
# Exit codes and errors are those of pipeops-agent itself.
#
# The braces hold the whole script: a shell runs nothing of it before it has read the last one, so
# a download that broke off anywhere is a syntax error and does nothing.
{
set -eu

DEFAULT_BASE_URL=https://get.pipeops.dev/agent
VERSIONS_DIRECTORY=/opt/pipeops-agent
LINK=/usr/local/bin/pipeops-agent
# Where the packages for apt and dnf have it.
PACKAGED_LINK=/usr/bin/pipeops-agent
# Of apt: its "cat-file" unpacks Zstandard, where there is no zstd.
APT_HELPER=/usr/lib/apt/apt-helper
# One of them is on every machine with the GNU C library, and programs name it by this path.
LOADERS='/lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1'
WORDS='install, join, upgrade, uninstall, version'
VERSION_LENGTH_MAX=64
CONNECT_TIMEOUT_SECONDS=30
# A transfer that stands still this long has failed.
STALL_TIMEOUT_SECONDS=60
STALL_BYTES_PER_SECOND=1024
DOWNLOAD_TIMEOUT_SECONDS=3600
# Of a program, where no signature tells its size.
PROGRAM_BYTES_MAX=536870912 # 512 MiB
# Of "latest", of lists, and of what is signed.
SMALL_BYTES_MAX=65536
# ulimit counts in these, and some shells in twice as many.
BLOCK_BYTES=512
DOWNLOAD_TRIES=3
# By what releases are known: scripts/release.ts puts the public halves of the root keys in, base64 of DER.
# They certify the keys that sign releases; of those, the ones with lower numbers are revoked.
RELEASE_ROOTS=''
RELEASE_KEY_OLDEST=1
RELEASE_PURPOSE=release
MAIN_CHANNEL=stable
SIGNED_FILES='release-key.json release-key.json.sig release.json release.json.sig'
# What a user may set, here and for "pipeops-agent install". Proxies may hold a password.
PLAIN_VARIABLES='PIPEOPS_VERSION PIPEOPS_BASE_URL PIPEOPS_API_URL PIPEOPS_CA_FILE PIPEOPS_AGENT_ID
PIPEOPS_PORT PIPEOPS_K3S_MIRROR PIPEOPS_IGNORE_CHECKS PIPEOPS_ALLOW_EXPIRED CLUSTER_NAME K3S_VERSION K3S_NODE_NAME LOG_LEVEL
NODE_TYPE K3S_URL NO_PROXY no_proxy'
SECRET_VARIABLES='PIPEOPS_TOKEN K3S_TOKEN HTTPS_PROXY https_proxy HTTP_PROXY http_proxy'

# The last transfer that has ended.
ended_pid=
# What clean_up removes; empty while there is nothing.
download_directory=
unfinished_link=
made_directories=

say() { printf '%s\n' "$*" >&2; }

# fail EXIT_CODE CODE MESSAGE HINT
fail() {
  say "pipeops-agent: error: $3 [$2]"
  say "pipeops-agent: hint: $4"
  exit "$1"
}

# fail_writing ACTION REASON: ACTION as in "make /opt/x", REASON is what the tool said.
fail_writing() {
  case $2 in
    *"No space left"* | *"quota exceeded"*)
      fail 4 DISK_FULL "Cannot $1: no space left on the disk" \
        'Free some space there, then run the same command again' ;;
    *)
      fail 4 FILE_ACCESS "Cannot $1: $2" \
        'Check the permissions and what stands there, then run the same command again' ;;
  esac
}

clean_up() {
  # "$!" and no variable of ours: a signal may come before the next command could have set it.
  if [ "${!:-}" != "$ended_pid" ]; then
    kill "$!" 2>/dev/null || true
    wait "$!" 2>/dev/null || true
  fi
  [ -z "$unfinished_link" ] || rm -f "$unfinished_link"
  [ -z "$download_directory" ] || rm -rf "$download_directory"
  # Only empty ones go: rmdir refuses the others.
  for directory in $made_directories; do
    rmdir "$directory" 2>/dev/null || true
  done
}

# attempt ACTION COMMAND...: runs a command that changes files.
attempt() {
  action=$1
  shift
  reason=$(LC_ALL=C "$@" 2>&1) || fail_writing "$action" "$reason"
}

# Remembers what it made: clean_up removes it again when it stayed empty. Parents first and each
# with its mode: "mkdir -p" would give them that of the umask, and the daemon is not root.
make_directory() {
  [ -z "$1" ] || [ -d "$1" ] || {
    make_directory "${1%/*}"
    attempt "make $1" mkdir -m 0755 "$1"
    made_directories="$1 $made_directories"
  }
}

has() { command -v "$1" >/dev/null 2>&1; }

# find_base_url FLAGS...: what comes over http:// anybody on the way can change, and root runs it.
find_base_url() {
  insecure=
  for flag in "$@"; do
    [ "$flag" != --allow-insecure ] || insecure=allowed
  done
  base_url=${PIPEOPS_BASE_URL:-$DEFAULT_BASE_URL}
  base_url=${base_url%/}
  case $base_url in
    # The message does not repeat the address: it may hold a password.
    *[[:space:][:cntrl:]@]*)
      fail 3 CONFIG_INVALID 'PIPEOPS_BASE_URL holds a user name, a password or a blank' \
        "Set it to a plain address such as $DEFAULT_BASE_URL" ;;
    https://?*) protocols='=https' ;;
    http://localhost | http://localhost[:/]* | http://127.0.0.1 | http://127.0.0.1[:/]* | \
      http://\[::1\]*) protocols='=http,https' ;;
    http://?*)
      [ -n "$insecure" ] || fail 3 CONFIG_INVALID 'PIPEOPS_BASE_URL is an http:// address' \
        'Use https://. If you trust every machine on the way, add --allow-insecure'
      protocols='=http,https' ;;
    *)
      fail 3 CONFIG_INVALID "PIPEOPS_BASE_URL is \"$base_url\", not a web address" \
        "Set it to an address such as $DEFAULT_BASE_URL" ;;
  esac
}

# find_ca_file FLAGS...: --ca-file FILE, --ca-file=FILE or PIPEOPS_CA_FILE; empty for none.
find_ca_file() {
  ca_file=${PIPEOPS_CA_FILE:-}
  previous=
  for flag in "$@"; do
    [ "$previous" != --ca-file ] || ca_file=$flag
    case $flag in
      --ca-file=*) ca_file=${flag#--ca-file=} ;;
    esac
    previous=$flag
  done
}

check_root() {
  words=
  [ "$subcommand" = install ] || words=" -s -- $subcommand"
  [ "$(id -u)" -eq 0 ] || fail 4 NOT_ROOT 'Installing changes this machine and needs root' \
    "Run it with sudo: curl -fsSL $base_url/install.sh | sudo sh$words"
}

# tell_variables: sudo drops what was only exported, so that what has arrived is said at once.
tell_variables() {
  seen=
  for variable in $PLAIN_VARIABLES; do
    eval "value=\${$variable:-}"
    case $value in
      '') ;;
      # Nothing that a terminal would obey, and no user:password@.
      *[!][0-9A-Za-z.,:/_*+-]*) seen="$seen, $variable (not shown)" ;;
      *) seen="$seen, $variable=$value" ;;
    esac
  done
  for variable in $SECRET_VARIABLES; do
    eval "value=\${$variable:-}"
    [ -z "$value" ] || seen="$seen, $variable (not shown)"
  done
  if [ -n "$seen" ]; then
    say "Variables that are set: ${seen#, }"
  elif [ -n "${SUDO_USER:-}" ]; then
    say 'No variables are set (sudo drops exported ones: use flags, or sudo NAME=value sh)'
  fi
}

# proxy_hint: what there is to say of a proxy after a download that failed.
proxy_hint() {
  if [ -n "${HTTPS_PROXY:-}${https_proxy:-}" ]; then
    printf 'through the proxy of HTTPS_PROXY'
  elif [ -n "${SUDO_USER:-}" ]; then
    printf 'no proxy is set here: behind one, export HTTPS_PROXY and use sudo --preserve-env=HTTPS_PROXY sh'
  else
    printf 'no proxy is set: behind one, set HTTPS_PROXY'
  fi
}

find_platform() {
  system=$(uname -s)
  machine=$(uname -m)
  case $system-$machine in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    *)
      hint='Use a Linux machine with an x86-64 or arm64 processor'
      [ "$system" != Darwin ] || hint='Use a Linux virtual machine on this Mac, for example with Lima'
      fail 4 HOST_UNSUPPORTED "There is no build for \"$system $machine\"" "$hint" ;;
  esac
}

# The shell would say "not found" of a program that is there.
check_loader() {
  for loader in $LOADERS; do
    [ ! -e "$loader" ] || return 0
  done
  fail 4 HOST_UNSUPPORTED \
    'This system has no GNU C library, so the agent cannot start (Alpine, NixOS)' \
    'Use Debian 12, Ubuntu 22.04, RHEL 9 or newer'
}

# The program would end with "Illegal instruction" before it could say a word.
check_processor() {
  [ "$platform" = linux-x64 ] && [ -r /proc/cpuinfo ] || return 0
  flags=
  while read -r name flags; do
    [ "$name" != flags ] || break
    flags=
  done </proc/cpuinfo
  case " $flags " in
    *" sse4_2 "*) ;;
    *)
      fail 4 HOST_UNSUPPORTED 'The processor lacks SSE4.2' \
        'Give the virtual machine a newer CPU model, for example "host"' ;;
  esac
}

# find_gnu_wget: sets wget to its path. Looked for file by file: the shell of BusyBox takes its own
# wget for the name, whatever stands on the PATH, and that one does not check certificates.
find_gnu_wget() {
  directories=$PATH:
  while [ -n "$directories" ]; do
    wget=${directories%%:*}/wget
    directories=${directories#*:}
    [ -x "$wget" ] || continue
    case $("$wget" --version 2>/dev/null || true) in
      *"GNU Wget"*) return 0 ;;
    esac
  done
  return 1
}

check_tools() {
  if has curl; then
    fetcher=curl
  elif find_gnu_wget; then
    fetcher=wget
  else
    fail 7 TOOL_MISSING 'Cannot download without curl or GNU wget' \
      "Install curl with this system's package manager, then run the same command again"
  fi
  for tool in sha256sum gzip wc date; do
    has "$tool" || fail 7 TOOL_MISSING "Cannot run \"$tool\": it is not on this machine" \
      "Install $tool with this system's package manager, then run the same command again"
  done
}

# start_curl URL FILE LIMIT [FLAGS...]
start_curl() {
  url=$1
  file=$2
  limit=$3
  shift 3
  (
    # Older ones look at --max-filesize only where the server tells a size.
    ulimit -f "$((limit / BLOCK_BYTES + 1))"
    LC_ALL=C exec curl "$@" --fail --silent --show-error --location --globoff \
      --proto "$protocols" --connect-timeout "$CONNECT_TIMEOUT_SECONDS" \
      --speed-limit "$STALL_BYTES_PER_SECOND" --speed-time "$STALL_TIMEOUT_SECONDS" \
      --max-time "$DOWNLOAD_TIMEOUT_SECONDS" --max-filesize "$limit" \
      --retry "$((DOWNLOAD_TRIES - 1))" --output "$file" "$url" 2>"$download_directory/log"
  ) &
}

# start_wget URL FILE LIMIT [FLAGS...]: wget cannot limit the time and size of a whole download.
start_wget() {
  url=$1
  file=$2
  limit=$3
  shift 3
  (
    ulimit -f "$((limit / BLOCK_BYTES + 1))"
    LC_ALL=C exec "$wget" "$@" --no-verbose --server-response --timeout="$STALL_TIMEOUT_SECONDS" \
      --tries="$DOWNLOAD_TRIES" --output-document="$file" "$url" 2>"$download_directory/log"
  ) &
}

# Why the download ended with exit code $1, from what the tool wrote.
explain_download() {
  reason=
  while read -r line; do
    reason=$line
  done <"$download_directory/log"
  case $fetcher-$reason in
    curl-?*) ;;
    # Last lines of wget: "<date> ERROR 404: Not Found.", "failed: Connection refused.",
    # "wget: unable to resolve host address", or a header, which explains nothing.
    wget-*" ERROR "*) reason="HTTP ${reason##* ERROR }" ;;
    wget-failed:*) reason=${reason#failed: } ;;
    wget-wget:*) ;;
    *) reason="$fetcher exited with $1" ;;
  esac
}

# wget has no --proto: what is to come over https must not be redirected to http.
was_downgraded() {
  [ "$fetcher-$protocols" = "wget-=https" ] || return 1
  while read -r header value; do
    case $header$value in
      [Ll]ocation:[Hh][Tt][Tt][Pp]:*) return 0 ;;
    esac
  done <"$download_directory/log"
  return 1
}

# transfer URL FILE LIMIT [FLAGS...]: sets status to the exit code of curl or wget.
transfer() {
  # In the background, because a shell hears no signal while it waits for another program.
  "start_$fetcher" "$@"
  status=0
  # Some shells would write "Terminated" here.
  wait "$!" 2>/dev/null || status=$?
  ended_pid=$!
}

# size_of FILE: in bytes; 0 where there is none.
size_of() {
  size=0
  [ ! -f "$1" ] || size=$(wc -c <"$1")
  printf '%s\n' "$((size))"
}

# fetch URL FILE LIMIT: follows redirects, fails on HTTP errors, and on more than LIMIT bytes.
fetch() {
  transfer "$1" "$2" "$3"
  # The certificate is of no authority that the system trusts: of the given one, then.
  case ${ca_file:+$fetcher-$status} in
    curl-60) transfer "$1" "$2" "$3" --cacert "$ca_file" ;;
    wget-5) transfer "$1" "$2" "$3" --ca-certificate="$ca_file" ;;
  esac
  if was_downgraded; then
    fail 6 DOWNLOAD_FAILED "Cannot download $1: it was redirected from https to http" \
      'Set PIPEOPS_BASE_URL to an address that stays on https'
  fi
  # curl says 63 where the size is told before; else ulimit has ended it.
  if [ "$fetcher-$status" = curl-63 ] || [ "$(size_of "$2")" -gt "$3" ]; then
    fail 6 DOWNLOAD_CORRUPT "What $1 sends is over $3 bytes" \
      'Check that no proxy or portal answers in its place'
  fi
  case $fetcher-$status in
    *-0) ;;
    # Writing failed. Both write one file, where a directory could be made just before.
    curl-23 | wget-3) fail_writing "write $2" 'No space left' ;;
    *)
      explain_download "$status"
      fail 6 DOWNLOAD_FAILED "Cannot download $1: ${reason%.}" \
        "Check that the address exists and that this machine reaches it ($(proxy_hint))" ;;
  esac
}

# fetch_small BASE NAME...: small files by their names there.
fetch_small() {
  from=$1
  shift
  ! fetch_together "$@" || return 0
  for name in "$@"; do
    fetch "$from/$name" "$download_directory/$name" "$SMALL_BYTES_MAX"
  done
}

# fetch_together NAME...: by one connection, from the address in $from. Where that fails, fetching each by itself
# tells why.
fetch_together() {
  [ "$fetcher" = curl ] || return 1
  last=
  for name in "$@"; do
    shift
    [ -z "$last" ] || set -- "$@" --output "$download_directory/$last" "$from/$last"
    last=$name
  done
  transfer "$from/$last" "$download_directory/$last" "$SMALL_BYTES_MAX" --fail-early "$@"
  [ "$status" -eq 0 ]
}

is_version() {
  [ "${#1}" -le "$VERSION_LENGTH_MAX" ] || return 1
  case $1 in
    # It becomes part of a path: neither "" nor ".." nor anything with a slash.
    '' | [!0-9A-Za-z]* | *[!0-9A-Za-z.+-]*) return 1 ;;
  esac
}

find_version() {
  if [ -n "${PIPEOPS_VERSION:-}" ]; then
    version=$PIPEOPS_VERSION
    is_version "$version" ||
      fail 3 CONFIG_INVALID "PIPEOPS_VERSION is \"$version\", not a version" \
        'Set it to a version such as 0.1.0, or do not set it to install the newest'
    return
  fi
  fetch "$base_url/latest" "$download_directory/latest" "$SMALL_BYTES_MAX"
  version=
  read -r version <"$download_directory/latest" || true
  is_version "$version" || fail 6 DOWNLOAD_CORRUPT "What $base_url/latest sent is not a version" \
    'Check that no proxy or portal answers in its place, or set PIPEOPS_VERSION'
}

# can_verify: whether openssl is here and knows Ed25519 (3.0 and newer; in FIPS mode it may not).
can_verify() {
  has openssl || return 1
  case $(LC_ALL=C openssl pkeyutl -help 2>&1 || true) in
    *-rawin*) ;;
    *) return 1 ;;
  esac
  write_public_key "${RELEASE_ROOTS%% *}"
  LC_ALL=C openssl pkey -pubin -in "$download_directory/key" -noout >/dev/null 2>&1
}

# write_public_key BASE64_OF_DER
write_public_key() {
  printf '%s\n' '-----BEGIN PUBLIC KEY-----' "$1" '-----END PUBLIC KEY-----' >"$download_directory/key"
}

# is_signed_by BASE64_OF_DER FILE: FILE.sig holds the signature.
is_signed_by() {
  write_public_key "$1"
  LC_ALL=C openssl base64 -d -A -in "$2.sig" -out "$download_directory/signature" 2>/dev/null ||
    return 1
  LC_ALL=C openssl pkeyutl -verify -pubin -inkey "$download_directory/key" -rawin \
    -in "$2" -sigfile "$download_directory/signature" >/dev/null 2>&1
}

# is_signed_by_root FILE
is_signed_by_root() {
  for root in $RELEASE_ROOTS; do
    ! is_signed_by "$root" "$1" || return 0
  done
  return 1
}

# signed_field FILE NAME: its value, in a file that scripts/release.ts has written: one field a line.
signed_field() {
  while read -r field value; do
    [ "$field" = "\"$2\":" ] || continue
    value=${value%,}
    value=${value#\"}
    printf '%s\n' "${value%\"}"
    return
  done <"$1"
}

# signed_file FILE_NAME: sets file_size and file_hash by the manifest; empty when it does not list it.
signed_file() {
  file_size=
  file_hash=
  named=
  while read -r field value; do
    value=${value%,}
    value=${value#\"}
    value=${value%\"}
    case $field$named in
      '"name":'*)
        named=
        [ "$value" != "$1" ] || named=yes ;;
      '"size":yes') file_size=$value ;;
      '"sha256":yes')
        file_hash=$value
        return ;;
    esac
  done <"$download_directory/release.json"
}

# digits_of TIME: 20260102030405 of 2026-01-02T03:04:05Z, as "date" prints it here.
digits_of() {
  digits=
  rest=$1
  while [ -n "$rest" ]; do
    case $rest in
      [0-9]*) digits=$digits${rest%"${rest#?}"} ;;
    esac
    rest=${rest#?}
  done
  printf '%s\n' "${digits:-0}"
}

# is_before TIME TIME
is_before() { [ "$(digits_of "$1")" -lt "$(digits_of "$2")" ]; }

distrust() {
  fail 6 RELEASE_UNTRUSTED "Cannot trust pipeops-agent $version of $base_url: $1" \
    'Nothing of it was used. Try again, then from the original place; if it stays so, somebody has changed it'
}

# check_expiry WHAT TIME
check_expiry() {
  is_before "$2" "$now" || return 0
  [ "${PIPEOPS_ALLOW_EXPIRED:-}" != yes ] || return 0
  fail 6 RELEASE_EXPIRED "$1 expired at $2; the clock here says $now" \
    'If that clock is wrong, set it: date -u -s "YYYY-MM-DD hh:mm:ss". If it is right, the place serves something old: use another one. PIPEOPS_ALLOW_EXPIRED=yes leaves out this check alone'
}

# check_key: the release key, by the root keys.
check_key() {
  key_file=$download_directory/release-key.json
  is_signed_by_root "$key_file" ||
    distrust 'its release key is signed by no root key that is known here'
  [ "$(signed_field "$key_file" purpose)" = "$RELEASE_PURPOSE" ] ||
    distrust 'its release key is for another purpose'
  key_number=$(signed_field "$key_file" number)
  [ "$key_number" -ge "$RELEASE_KEY_OLDEST" ] && [ "$key_number" -ge "$here_key_number" ] ||
    distrust "release key $key_number was replaced"
}

# read_installed: of the release that is here, as far as its signatures are good. An install.sh without
# openssl has kept them unchecked.
read_installed() {
  here_key_number=0
  here_released=
  installed=
  ! has readlink || installed=$(readlink "$LINK" || true)
  installed=${installed%/*}
  [ -f "$installed/release-key.json" ] && is_signed_by_root "$installed/release-key.json" || return 0
  here_key_number=$(signed_field "$installed/release-key.json" number)
  ! is_signed_by "$(signed_field "$installed/release-key.json" public_key)" "$installed/release.json" ||
    here_released=$(signed_field "$installed/release.json" released)
}

# check_newest: not older than what is here, and current.
check_newest() {
  [ "$(signed_field "$manifest" channel)" = "$MAIN_CHANNEL" ] || fail 6 RELEASE_REFUSED \
    "$base_url calls $version the newest, and it is not of the channel \"$MAIN_CHANNEL\"" \
    "To take it all the same: PIPEOPS_VERSION=$version"
  check_expiry "What $base_url calls the newest release" "$(signed_field "$manifest" expires)"
  ! is_before "$(signed_field "$manifest" released)" "$here_released" ||
    fail 6 RELEASE_REFUSED "$base_url calls $version the newest, and ${installed##*/} is here, which is newer" \
      "The place serves something old. To go back on purpose: PIPEOPS_VERSION=$version"
}

# check_release: its signatures. Sets is_signed where they could be checked: hashes and sizes are of the
# signed manifest then, and else of SHA256SUMS, which is as good as the connection it came by.
check_release() {
  is_signed=
  hashes_file=SHA256SUMS
  [ -n "$RELEASE_ROOTS" ] || return 0
  can_verify || {
    say 'Not checked: the signature of the release. For that install openssl (3.0 or newer)'
    return 0
  }
  read_installed
  check_key
  manifest=$download_directory/release.json
  is_signed_by "$(signed_field "$key_file" public_key)" "$manifest" ||
    distrust "release key $key_number has not signed its manifest"
  [ "$(signed_field "$manifest" version)" = "$version" ] ||
    distrust 'its manifest is of another version'
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  check_expiry "Release key $key_number" "$(signed_field "$key_file" expires)"
  [ -n "${PIPEOPS_VERSION:-}" ] || check_newest
  ! is_before "$now" "$(signed_field "$manifest" released)" ||
    say "The clock here says $now, before this release was made: whether something has expired cannot be told"
  is_signed=yes
  hashes_file=release.json
  say "The signature of pipeops-agent $version is good (release key $key_number)"
}

# listed_hash FILE_NAME: prints its hash in SHA256SUMS; nothing when that does not list it.
listed_hash() {
  while read -r hash file; do
    # sha256sum marks a file that it read in binary mode with a star.
    if [ "${file#\*}" = "$1" ]; then
      printf '%s\n' "$hash"
      return
    fi
  done <"$download_directory/SHA256SUMS"
}

# published_hash FILE_NAME: prints the hash that it must have.
published_hash() {
  if [ -n "$is_signed" ]; then
    signed_file "$1"
    printf '%s\n' "$file_hash"
  else
    listed_hash "$1"
  fi
}

# print_hash FILE: openssl, where it has checked the signature, takes a fifth of the time.
print_hash() {
  if [ -n "$is_signed" ]; then
    LC_ALL=C openssl dgst -sha256 -r <"$1"
  else
    sha256sum <"$1"
  fi
}

# has_published_hash FILE FILE_NAME
has_published_hash() {
  wanted=$(published_hash "$2")
  actual=$(print_hash "$1") || return 1
  [ -n "$wanted" ] && [ "${actual%% *}" = "$wanted" ]
}

# check_hash FILE FILE_NAME
check_hash() {
  has_published_hash "$1" "$2" || fail 6 DOWNLOAD_CORRUPT \
    "The SHA-256 hash of $2 is not the one in $base_url/$version/$hashes_file" \
    'Run the same command again; if it stays so, a mirror or a proxy changes downloads'
}

# limit_of FILE_NAME: how many bytes it may have.
limit_of() {
  file_size=
  [ -z "$is_signed" ] || signed_file "$1"
  printf '%s\n' "${file_size:-$PROGRAM_BYTES_MAX}"
}

# find_packing FILE_NAME: the smallest one that this release has and this machine can unpack. Zstandard
# comes before xz, which is a little smaller and takes ten times as long to unpack. A server that offers
# its own program has it as it is.
find_packing() {
  for packing in zst:zstd "zst:$APT_HELPER" xz:xz; do
    suffix=.${packing%%:*}
    unpacker=${packing#*:}
    ! has "$unpacker" || [ -z "$(listed_hash "$1$suffix")" ] || return 0
  done
  suffix=.gz
  unpacker=gzip
  [ -n "$(listed_hash "$1.gz")" ] || [ -z "$(listed_hash "$1")" ] || suffix=
}

# unpack FILE: to standard output.
unpack() {
  case $unpacker in
    "$APT_HELPER") LC_ALL=C "$unpacker" cat-file "$1" ;;
    *) LC_ALL=C "$unpacker" -dc "$1" ;;
  esac
}

# download_program DESTINATION
download_program() {
  name=pipeops-agent-$platform
  find_packing "$name"
  say "Downloading pipeops-agent $version for $platform"
  unpacked=$download_directory/pipeops-agent
  fetch_packed "$unpacked" || {
    # An apt that is made without Zstandard.
    suffix=.gz
    unpacker=gzip
    fetch_packed "$unpacked"
  }
  attempt "make $unpacked executable" chmod 0755 "$unpacked"
  make_directory "${1%/*}"
  # Within one file system, so that the name always leads to a whole program.
  attempt "place $1" mv -f "$unpacked" "$1"
}

# fetch_packed DESTINATION: fails where apt cannot unpack it. One that does not know it ends well, and gives it as it is.
fetch_packed() {
  packed=$name$suffix
  fetch "$base_url/$version/$packed" "$download_directory/$packed" "$(limit_of "$packed")"
  check_hash "$download_directory/$packed" "$packed"
  if [ -z "$suffix" ]; then
    attempt "move $packed" mv -f "$download_directory/$packed" "$1"
    return
  fi
  # The outer redirection holds the unpacker's errors, the inner one its output.
  if reason=$({ unpack "$download_directory/$packed" >"$1"; } 2>&1); then
    [ "$unpacker" != "$APT_HELPER" ] || {
      has_published_hash "$1" "$name"
      return
    }
    check_hash "$1" "$name"
  else
    [ "$unpacker" != "$APT_HELPER" ] || return 1
    fail_writing "unpack $packed" "$reason"
  fi
}

# keep_signatures DIRECTORY: beside the program, for bundles and for machines that join by this one.
keep_signatures() {
  [ -n "$RELEASE_ROOTS" ] || return 0
  for file in $SIGNED_FILES; do
    attempt "make $1/$file readable" chmod 0644 "$download_directory/$file"
    attempt "place $1/$file" mv -f "$download_directory/$file" "$1/$file"
  done
}

# place_link TARGET: a program that is there stays: the new one takes its place when it runs.
place_link() {
  [ ! -d "$LINK" ] || fail 4 FILE_ACCESS "Cannot place $LINK: a directory stands there" \
    'Move it away, then run the same command again'
  [ ! -x "$LINK" ] || return 0
  # Where it is read-only the program makes a place for the link by itself: only on such a file system root
  # may not write.
  link_directory=${LINK%/*}
  [ -w "$link_directory" ] || [ -w "${link_directory%/*}" ] || [ ! -d "${link_directory%/*}" ] || return 0
  make_directory "$link_directory"
  # Not "ln -f": it removes the old link first. Not "mv -T": not every mv has it.
  unfinished_link=${LINK%/*}/.pipeops-agent.$$
  attempt "link $LINK" ln -s "$1" "$unfinished_link"
  attempt "link $LINK" mv -f "$unfinished_link" "$LINK"
}

place_program() {
  make_directory "$VERSIONS_DIRECTORY"
  download_directory=$(LC_ALL=C mktemp -d "$VERSIONS_DIRECTORY/.download.XXXXXX" 2>&1) || {
    reason=$download_directory
    download_directory=
    fail_writing "make a directory in $VERSIONS_DIRECTORY" "$reason"
  }
  find_version
  # Without keys to check signatures by, there may be none.
  fetch_small "$base_url/$version" SHA256SUMS ${RELEASE_ROOTS:+$SIGNED_FILES}
  check_release
  program=$VERSIONS_DIRECTORY/$version/pipeops-agent
  if [ -x "$program" ] && has_published_hash "$program" "pipeops-agent-$platform"; then
    say "pipeops-agent $version is here already"
  else
    download_program "$program"
  fi
  keep_signatures "${program%/*}"
  place_link "$program"
}

# read_word [WORD]: what to run; without a word, "install".
read_word() {
  subcommand=install
  takes_word=
  case ${1-} in
    '' | -*) [ "$#" -eq 0 ] || [ -n "$1" ] || fail 2 UNKNOWN_SUBCOMMAND \
      'An empty word is no subcommand' "Use one of: $WORDS; or no word" ;;
    install | join | upgrade | uninstall | version)
      subcommand=$1
      takes_word=yes ;;
    # The message repeats no word that may be a secret.
    *)
      fail 2 UNKNOWN_SUBCOMMAND 'The first word is no subcommand of install.sh' \
        "Use one of: $WORDS; flags begin with --, tokens are given with --token-file FILE" ;;
  esac
}

tell_usage() {
  printf '%s\n' 'Usage: install.sh [word] [flags]' '' \
    '  install    (also when no word is given) make this machine a server of its own cluster' \
    '  join       make it a worker of a cluster: --token-file FILE' \
    '  upgrade    bring what is installed here to a newer version' \
    '  uninstall  remove what was installed' \
    '  version    print the installed version' '' \
    'Flags are those of "pipeops-agent WORD". Where that is installed: pipeops-agent WORD --help'
}

# find_package: sets package_manager and package_upgrade where a package has brought the program.
find_package() {
  package_manager=
  package_upgrade=
  [ -e "$PACKAGED_LINK" ] || return 0
  if has dpkg-query && dpkg-query --search "$PACKAGED_LINK" >/dev/null 2>&1; then
    package_manager=apt
    package_upgrade='apt-get install --only-upgrade pipeops-agent'
  elif has rpm && rpm --query --file "$PACKAGED_LINK" >/dev/null 2>&1; then
    package_manager=dnf
    package_upgrade='dnf upgrade pipeops-agent'
    ! has zypper || {
      package_manager=zypper
      package_upgrade='zypper update pipeops-agent'
    }
  fi
}

# check_package: two programs on one machine would take each other's units.
check_package() {
  find_package
  [ -n "$package_manager" ] || return 0
  runs=
  [ "$subcommand" = upgrade ] || runs="Use that one: sudo $PACKAGED_LINK $subcommand. "
  fail 4 INSTALLED_OTHERWISE "This machine's agent came by $package_manager" \
    "${runs}For a newer version: sudo $package_upgrade"
}

check_installed() {
  [ -x "$LINK" ] || {
    find_package
    [ -z "$package_manager" ] || LINK=$PACKAGED_LINK
  }
  [ -x "$LINK" ] || fail 4 NOT_INSTALLED "Cannot run \"$subcommand\": $LINK is not on this machine" \
    "To install it: curl -fsSL $base_url/install.sh | sudo sh"
}

# set_up SUBCOMMAND FLAGS...: the program of the wanted version does the rest.
set_up() {
  check_package
  find_ca_file "$@"
  find_platform
  check_loader
  check_processor
  check_tools
  tell_variables
  trap clean_up EXIT
  trap 'fail 130 INTERRUPTED "Interrupted" "Run the same command again"' HUP INT TERM
  place_program
  trap - EXIT HUP INT TERM
  clean_up
  # Standard input may be this very script; the program asks its questions on /dev/tty. What this process did until
  # now was for it.
  PIPEOPS_INSTALL_SH=yes exec "$program" "$@" </dev/null
}

main() {
  read_word "$@"
  [ -z "$takes_word" ] || shift
  find_base_url "$@"
  case ${1-} in
    -h | --help)
      tell_usage
      return ;;
  esac
  [ "$subcommand" = version ] || check_root
  case $subcommand in
    version | uninstall)
      check_installed
      exec "$LINK" "$subcommand" "$@" </dev/null ;;
    upgrade)
      check_installed
      # The new version's "install" takes over whatever is here, a server or a worker.
      set_up install "$@" ;;
    *) set_up "$subcommand" "$@" ;;
  esac
}

main "$@"; }
