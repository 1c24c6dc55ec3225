# shellcheck shell=bash
# What the scripts beside this file share: options, dry runs, consent, and what a release has beside its files of values.

me=$(basename "$0")
chart=$(cd "$(dirname "${BASH_SOURCE[0]}")/../chart" && pwd)
namespace=rulebox release=rulebox timeout=15m dry_run=no yes=no
values=() words=() kept=()

say() { printf '%s: %s\n' "$me" "$*" >&2; }
done_so() { if [ "$dry_run" = no ]; then say "$*"; fi; }
fail() { say "$*"; exit 1; }
wrong() { say "$*; --help says more"; exit 2; }

# parse OPTION... -- ARGUMENT...: `name=` takes a value, `name` none; --namespace, --release, --dry-run and --help are taken
# by all. A value goes to the variable of that name, and what is no option to `words`.
parse() {
  local takes=' namespace= release= dry-run ' option
  while [ "$1" != -- ]; do takes+="$1 "; shift; done
  shift
  while [ $# -gt 0 ]; do
    option=${1#--}
    case $1 in
      --help) usage; exit 0 ;;
      --*=*) wrong "write ${1%%=*} and its value as two words" ;;
      --?*) ;;
      -*) wrong "unknown option '$1'" ;;
      *) words+=("$1"); shift; continue ;;
    esac
    case $takes in
      *" $option= "*)
        if [ $# -lt 2 ] || [ -z "$2" ]; then wrong "$1 needs a value"; fi
        if [ "$option" = values ]; then values+=("$2"); else printf -v "${option//-/_}" %s "$2"; fi
        shift 2
        ;;
      *" $option "*) printf -v "${option//-/_}" yes; shift ;;
      *) wrong "unknown option '$1'" ;;
    esac
  done
}

# needs_values: files of values are named, and are there.
needs_values() {
  local file
  [ ${#values[@]} -gt 0 ] || wrong "--values is missing: which files has the release?"
  for file in "${values[@]}"; do [ -f "$file" ] || wrong "--values $file: there is no such file"; done
}

# needs PROGRAM...: but for a dry run, which starts none.
needs() {
  local program
  [ "$dry_run" = no ] || return 0
  for program in "$@"; do command -v "$program" >/dev/null || fail "'$program' is missing: install it"; done
}

is_digest() { [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]] || wrong "--digest $1: it is sha256: and 64 hexadecimal digits"; }
is_number() { [[ $2 =~ ^[0-9]{1,6}$ ]] || wrong "$1 '$2' is no whole number"; }

show() { printf '%q ' "$@" | sed 's/ $/\n/'; }

# run COMMAND...: what changes something. A dry run prints it.
run() {
  if [ "$dry_run" = yes ]; then show "$@"; else "$@"; fi
}

# ask COMMAND...: what only reads. A dry run prints it, where it is seen, and knows nothing.
ask() {
  if [ "$dry_run" = yes ]; then show "$@" >&3; else "$@"; fi
}
exec 3>&1

# consent WHAT: nothing that is hard to take back is done without --yes.
consent() {
  [ "$dry_run" = no ] || return 0
  [ "$yes" = yes ] || fail "$1. If that is meant, say --yes"
}

# What names of the release's objects begin with, as the chart has it.
fullname() {
  case $release in *rulebox*) printf '%s' "$release" ;; *) printf '%s-rulebox' "$release" ;; esac
}

hm() { helm --namespace "$namespace" "$@"; }
kc() { kubectl --namespace "$namespace" "$@"; }
run_helm() { run helm --namespace "$namespace" "$@"; }
run_kubectl() { run kubectl --namespace "$namespace" "$@"; }
ask_helm() { ask helm --namespace "$namespace" "$@"; }
ask_kubectl() { ask kubectl --namespace "$namespace" "$@"; }

# read_release: what the release has that is in none of its files, so that no upgrade loses it: its image, its canary, and
# which Redis writes. It goes to `kept`; `held PATH` reads of it.
held='{}' exists=no
read_release() {
  local found status
  found=$(ask_helm list --all --filter "^$release\$" --output json)
  [ "$dry_run" = no ] || return 0
  status=$(jq -r '.[0].status // "none"' <<<"$found")
  case $status in
    pending-*) fail "the release is $status: somebody is at it, or was cut off. Wait; if nobody is, \`rollback\`" ;;
    none) return 0 ;;
  esac
  held=$(hm get values "$release" --output json | jq '. // {}')
  exists=yes
}
there_is_a_release() { [ "$dry_run" = yes ] || [ "$exists" = yes ]; }
held() { jq -r "($1) // \"\" | tostring" <<<"$held"; }
has_canary() { [ "$(held .canary.enabled)" = true ]; }
canary_image() { held '[.canary.image.digest, .canary.image.tag] | map(select(. != null and . != "")) | .[0]'; }

# Flags of what a path holds, if it holds something: (path, how it is set).
keep() {
  local value
  value=$(held "$1")
  if [ -n "$value" ]; then kept+=("${2:---set}" "${1#.}=$value"); fi
}
keep_image() {
  if [ -n "$(held .image.digest)$(held .image.tag)" ]; then
    kept+=(--set-string "image.digest=$(held .image.digest)" --set-string "image.tag=$(held .image.tag)")
  fi
}
keep_others() {
  local path
  for path in enabled weight replicas autoscaling executors.replicas; do keep ".canary.$path"; done
  keep .canary.image.tag --set-string
  keep .canary.image.digest --set-string
  # Else an upgrade would lead sessions back to the old one.
  if [ "$(held .redis.inCluster.primary)" = redis-replica ]; then
    keep .redis.inCluster.primary
    keep .redis.inCluster.replicas
  fi
}

# The files, and over them what the release has.
flags() {
  local file
  for file in "${values[@]}"; do printf '%s\0' --values "$file"; done
  if [ ${#kept[@]} -gt 0 ]; then printf '%s\0' "${kept[@]}"; fi
}

# upgrade ARGUMENT...: the release, with these over all else.
upgrade() {
  local all
  mapfile -d '' -t all < <(flags)
  run_helm upgrade --install "$release" "$chart" "${all[@]}" "$@" --timeout "$timeout"
}

# ---- The second track, of `canary` and `blue-green`. What an upgrade in the middle of it does needs no migration, and must not
# wait for one: --no-hooks.
start_track() { # DIGEST WEIGHT FLAG...
  local digest=$1 weight=$2
  shift 2
  if has_canary; then fail "there is a canary already, of $(canary_image): promote or abort it"; fi
  there_is_a_release || fail "there is no release $release in $namespace to try another version beside: deploy one"
  keep_image
  local on=(--set canary.enabled=true --set-string "canary.image.digest=$digest" --set-string canary.image.tag= "$@")
  if ! upgrade "${on[@]}" --set canary.weight=0 --wait; then
    say "the canary has not become ready: it is taken away again, and has had no request"
    off_track "${on[@]}" || say "and could not be: see \`helm status\`"
    exit 1
  fi
  [ "$weight" != 0 ] || return 0
  if ! upgrade "${on[@]}" --set "canary.weight=$weight" --no-hooks --wait; then
    say "its weight could not be set: it is taken away again"
    off_track "${on[@]}" || say "and could not be: see \`helm status\`"
    exit 1
  fi
}

# Requests first, and then the pods, which may never be ready: nobody waits for them.
off_track() {
  upgrade "$@" --set canary.weight=0 --no-hooks || say "the weight could not be set to 0; going on"
  upgrade "$@" --set canary.enabled=false --set canary.weight=0 --set-string canary.image.digest= --set-string canary.image.tag= \
    --no-hooks --wait
}

promote_track() {
  local digest tag
  digest=$(held .canary.image.digest) tag=$(held .canary.image.tag)
  # Not kept: the first track's own image, which is to be another.
  keep_others
  local same=(--set-string "image.digest=${digest:-}" --set-string "image.tag=${tag:-}")
  # What a dry run cannot know.
  if [ "$dry_run" = yes ]; then same=(--set canary.enabled=true); fi
  upgrade "${same[@]}" --wait ||
    fail "the first track is not all of that version. The canary serves on as before: promote again, or abort and \`rollback\`"
  off_track "${same[@]}" || fail "the canary could not be taken away: promote again"
}
