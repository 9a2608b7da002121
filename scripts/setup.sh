#!/bin/sh
# Makes the pinned Bun and the packages ready. Prints the path of the bun program
# on its last line; everything else goes to stderr. Safe to run again.
set -eu

BUN_VERSION=1.4.5
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pipeops-agent-build"
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# The npm package of the program itself, with the SRI hash that the registry publishes.
platform_package() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo "@oven/bun-linux-x64-baseline" ;;
    Linux-aarch64 | Linux-arm64) echo "@oven/bun-linux-aarch64" ;;
    *) say "Cannot set up Bun: this platform ($(uname -sm)) is not supported"; exit 1 ;;
  esac
}

download_bun() {
  package=$(platform_package)
  dir="$CACHE/bun-$BUN_VERSION.partial.$$"
  mkdir -p "$dir"
  say "Fetching Bun $BUN_VERSION from the npm registry"
  if command -v npm >/dev/null 2>&1; then
    # npm checks the registry's integrity hash itself.
    (cd "$dir" && npm pack --silent "$package@$BUN_VERSION" >/dev/null)
    mv "$dir"/*.tgz "$dir/bun.tgz"
  else
    base="https://registry.npmjs.org/$package"
    curl -fsSL --retry 3 -o "$dir/bun.tgz" "$base/-/${package#@oven/}-$BUN_VERSION.tgz"
    wanted=$(curl -fsSL --retry 3 "$base/$BUN_VERSION" |
      sed -n 's/.*"integrity":"sha512-\([^"]*\)".*/\1/p')
    actual=$(openssl dgst -sha512 -binary "$dir/bun.tgz" | base64 -w0)
    [ "$wanted" = "$actual" ] || { say "Cannot use the download of Bun: its hash is wrong"; exit 1; }
  fi
  tar -xzf "$dir/bun.tgz" -C "$dir"
  mkdir -p "$dir/bin"
  mv "$dir/package/bin/bun" "$dir/bin/bun"
  ln -s bun "$dir/bin/bunx"
  rm -rf "$dir/package" "$dir/bun.tgz"
  mv "$dir" "$CACHE/bun-$BUN_VERSION" 2>/dev/null || rm -rf "$dir" # another run was faster
}

if [ "$(bun --version 2>/dev/null || true)" = "$BUN_VERSION" ]; then
  BUN=$(command -v bun)
else
  BUN="$CACHE/bun-$BUN_VERSION/bin/bun"
  [ -x "$BUN" ] || download_bun
fi
cd "$ROOT"
"$BUN" install --frozen-lockfile >&2
echo "$BUN"
