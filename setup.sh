#!/bin/sh
# Installs the Debian or Ubuntu packages that levada is built with. Does nothing when all are there.
set -eu

usage() {
  cat <<'END'
usage: ./setup.sh [--all]

Installs what building, running and testing levada needs, as Debian or Ubuntu packages.
  --all   also what the stricter checks need: clang, clang-tidy, clang-format, sanitizer runtimes
END
}

# libboost-dev and libboost-json-dev stand for the first Boost from 1.81 on that the distribution has.
needed="g++ cmake ninja-build pkg-config ccache libboost-dev libboost-json-dev liblmdb-dev capnproto libcapnp-dev
  libspdlog-dev libfmt-dev libxxhash-dev liblz4-dev libzstd-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev"
for_checks="clang clang-tidy clang-format libclang-rt-dev"
boost_oldest=1.81

case "${1-}" in
  '') ;;
  --all) needed="$needed $for_checks" ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  {
    echo "setup.sh: knows Debian and Ubuntu only. Install what these packages hold by other means:"
    # shellcheck disable=SC2086 # a list of words
    echo $needed | fmt
    echo "with Boost $boost_oldest or later and CMake 3.25 or later."
  } >&2
  exit 1
fi

# One line "name" for each installed package and for each name that it provides.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
  sed -n 's/^installed //p' | sed 's/([^)]*)//g; s/,/ /g' | tr -s ' ' '\n')

is_installed() {
  printf '%s\n' "$installed" | grep -qxF "$1"
}

# boost_is_installed [-json]: whether those headers or libraries of a recent enough Boost are installed.
boost_is_installed() {
  for version in $(printf '%s\n' "$installed" | sed -n "s/^libboost${1-}\([0-9][0-9.]*\)-dev\$/\1/p"); do
    if dpkg --compare-versions "$version" ge "$boost_oldest"; then return 0; fi
  done
  return 1
}

missing=
for package in $needed; do
  case "$package" in
    libboost-dev) boost_is_installed || missing="$missing $package" ;;
    libboost-json-dev) boost_is_installed -json || missing="$missing $package" ;;
    *) is_installed "$package" || missing="$missing $package" ;;
  esac
done
if [ -z "$missing" ]; then exit 0; fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  as_root=none
fi

if [ "$as_root" != none ]; then $as_root apt-get update -qq; fi

# candidate <package>: the version that apt would install, or nothing.
candidate() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -vxF '(none)' || true
}

# The Boost packages by the names that this distribution has for them.
default_boost=$(candidate libboost-dev)
if dpkg --compare-versions "${default_boost:-0}" lt "$boost_oldest"; then
  if [ -n "$(candidate libboost$boost_oldest-dev)" ]; then
    missing=$(printf '%s' "$missing" | sed "s/libboost\(-json\)\{0,1\}-dev/libboost\1$boost_oldest-dev/g")
  else
    case "$missing" in
      *libboost*)
        echo "setup.sh: apt knows no Boost from $boost_oldest on (its libboost-dev: ${default_boost:-none})." >&2
        echo "Run 'apt-get update' if it has never run; else this release of the distribution is too old." >&2
        exit 1
        ;;
    esac
  fi
fi

# Nothing is removed to make room: a conflicting older Boost is the user's to remove.
if [ "$as_root" = none ]; then
  {
    echo "setup.sh: packages are missing, and only root may install them. Run:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends$missing"
  } >&2
  exit 1
fi
echo "setup.sh: installing$missing"
# shellcheck disable=SC2086 # lists of words
if ! $as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends --no-remove $missing; then
  {
    echo "setup.sh: apt-get could not install$missing"
    echo "If it says that packages would have to be removed, remove them first: two versions of Boost's headers"
    echo "cannot be installed side by side."
  } >&2
  exit 1
fi
