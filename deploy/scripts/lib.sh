# shellcheck shell=bash
# What the scripts beside this file share: options, dry runs, consent, and what a release has beside its files of values.

me=$(basename "$0")
chart=$(cd "$(dirname "${BASH_SOURCE[0]}")/../chart" && pwd)
namespace=rulebox release=rulebox timeout=15m dry_run=no yes=no
values=() without=() words=() kept=()
# Of revisions: a roll-out by canary makes eight, and Helm's own ten would push out the one to go back to.
history_max=30

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
        case $option in
          values) values+=("$2") ;;
          without) without+=("$2") ;;
          *) printf -v "${option//-/_}" %s "$2" ;;
        esac
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
# which Redis writes. `held` is what the newest revision has, also when it failed; `good`, the newest one that was deployed.
# With cut_off=taken, it may be one that was cut off.
held='{}' good='{}' revisions='[]' status=none exists=no cut_off=refused
read_release() {
  local found
  found=$(ask_helm list --all --filter "^$release\$" --output json)
  [ "$dry_run" = no ] || return 0
  status=$(jq -r '.[0].status // "none"' <<<"$found")
  case $status in
    pending-*)
      [ "$cut_off" = taken ] ||
        fail "the release is $status: somebody is at it, or was cut off. Wait; if nobody is, \`canary abort\` where there is a canary, and else \`rollback\`"
      say "the release is $status: what was begun is taken back, whoever began it"
      ;;
    none) return 0 ;;
  esac
  exists=yes
  held=$(hm get values "$release" --output json | jq '. // {}')
  read_history
  local last
  last=$(last_good)
  if [ -n "$last" ]; then good=$(values_of "$last"); fi
  # What has failed to take a canary away has left it there.
  if ! has_canary && [ "$(jq -r '.canary.enabled // false' <<<"$good")" = true ] && [ "$status" != deployed ]; then held=$good; fi
}
there_is_a_release() { [ "$dry_run" = yes ] || [ "$exists" = yes ]; }
read_history() { revisions=$(ask_helm history "$release" --max 256 --output json); }
values_of() { hm get values "$release" --revision "$1" --output json | jq '. // {}'; }
# In a condition `set -e` does not hold, and nothing would be taken for what a revision has: whoever reads one there says so.
unread() { fail "revision $1 cannot be read: nothing is chosen without it, try again"; }
tries_another() { jq -r '.canary.enabled // false' <<<"$1"; }

# Of a revision, for jq: whether it was deployed once. Where a roll-back fails, Helm calls what it was to leave superseded, also if
# that has failed itself or was cut off: then only the description says it.
was_deployed='((.status == "deployed" or .status == "superseded") and ((.description // "")
  | test("^(Preparing upgrade|Initial install underway)$|^(Install|Upgrade|Rollback|Release) \".*\" failed: ") | not))'

# last_good [alone]: the newest revision that was deployed, or the newest one of these without a canary. Behind a plain assignment:
# what it cannot read must end the script.
last_good() {
  local number found
  for number in $(jq -r "map(select($was_deployed)) | sort_by(-.revision) | .[].revision" <<<"$revisions"); do
    if [ "${1:-}" = alone ]; then
      found=$(values_of "$number") || unread "$number"
      [ "$(tries_another "$found")" = false ] || continue
    fi
    printf '%s' "$number"
    return 0
  done
}

# go_back REVISION FLAG...: nobody whose sessions are in a Redis that has taken over is led back to the other one.
go_back() {
  local to=$1 there
  shift
  if [ "$dry_run" = no ]; then
    there=$(values_of "$to") || unread "$to"
    there=$(jq -r '.redis.inCluster.primary // "redis"' <<<"$there")
    [ "$there" = "$(held '.redis.inCluster.primary // "redis"')" ] ||
      fail "Redis has failed over since revision $to, in which $there writes: \`failover redis\` the other way first, else sessions are lost"
  fi
  run_helm rollback "$release" "$to" "$@" --history-max "$history_max"
}
held() { jq -r "($1) // \"\" | tostring" <<<"$held"; }
has_canary() { [ "$(held .canary.enabled)" = true ]; }
canary_image() { held '[.canary.image.digest, .canary.image.tag] | map(select(. != null and . != "")) | .[0]'; }

# Flags of what a path holds, if it holds something: (path, how it is set).
keep() {
  local value
  value=$(held "$1")
  if [ -n "$value" ]; then kept+=("${2:---set}" "${1#.}=$value"); fi
}
# What no file names of an image, as the release has it: a pipeline names images, and where they come from, in files that nobody
# has who upgrades by hand.
keep_places() {
  local told=null path field value
  if [ "$dry_run" = yes ] || [ "$exists" = no ]; then return 0; fi
  told=$(upgrade --dry-run --output json | jq .config)
  for path in .image .backup.image .pgbouncer.image .restoreTest.image .redisBackup.image .upload.image; do
    [ "$(jq -r "$path // {} | [.registry, .repository, .tag, .digest] | any(. != null and . != \"\")" <<<"$told")" = false ] || continue
    for field in registry repository digest tag; do
      # Which version the service is, is said by whoever calls this.
      if [ "$path" = .image ] && { [ "$field" = digest ] || [ "$field" = tag ]; }; then continue; fi
      value=$(jq -r "$path.$field // \"\"" <<<"$good")
      if [ -n "$value" ]; then kept+=(--set-string "${path#.}.$field=$value"); fi
    done
  done
}
keep_image() {
  local digest tag
  keep_places
  digest=$(jq -r '.image.digest // ""' <<<"$good") tag=$(jq -r '.image.tag // ""' <<<"$good")
  if [ -n "$digest$tag" ]; then kept+=(--set-string "image.digest=$digest" --set-string "image.tag=$tag"); fi
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
  run_helm upgrade --install "$release" "$chart" "${all[@]}" "$@" --timeout "$timeout" --history-max "$history_max"
}

# ---- The second track, of `canary` and `blue-green`. What an upgrade in the middle of it does needs no migration, and must not
# wait for one: --no-hooks.
start_track() { # DIGEST WEIGHT FLAG...
  local digest=$1 weight=$2 base
  shift 2
  if has_canary; then fail "there is a canary already, of $(canary_image): promote or abort it"; fi
  there_is_a_release || fail "there is no release $release in $namespace to try another version beside: deploy one"
  if [ "$dry_run" = no ] && [ "$status" != deployed ]; then
    fail "the release is $status: \`deploy\` or \`rollback\` first, so that there is something to go back to"
  fi
  base=$(last_good)
  keep_image
  local on=(--set canary.enabled=true --set-string "canary.image.digest=$digest" --set-string canary.image.tag= "$@") cut=no
  leaves_the_first_track "${on[@]}" --set canary.weight=0
  # Whoever cuts it off has no time to wait: what is there then is for `canary abort`.
  trap 'cut=yes' INT TERM
  if ! upgrade "${on[@]}" --set canary.weight=0 --wait; then
    undo "$base" "the canary has not become ready: it is taken away again, and has had no request"
  fi
  if [ "$weight" != 0 ] && [ "$cut" = no ] && ! upgrade "${on[@]}" --set "canary.weight=$weight" --no-hooks --wait; then
    undo "$base" "its weight could not be set: it is taken away again"
  fi
  if [ "$cut" = yes ]; then say "cut off: \`canary abort\` takes away what there is"; exit 130; fi
  trap - INT TERM
}
undo() { # REVISION WHY
  if [ "$cut" = yes ]; then say "cut off: \`canary abort\` takes away what there is"; exit 130; fi
  say "$2"
  go_back "$1" --no-hooks || say "and could not be: see \`helm status\`"
  exit 1
}

# Both tracks are of this chart and these files: what they change beside the image would be all of production's before anybody
# has watched.
leaves_the_first_track() {
  local before after changed
  [ "$dry_run" = no ] || return 0
  before=$(hm get manifest "$release" | templates)
  after=$(upgrade "$@" --dry-run --output json | jq -r .manifest | templates)
  changed=$(diff <(printf '%s\n' "$before") <(printf '%s\n' "$after") | sed -n 's/^[<>] \([^:]*\):.*/\1/p' | sort -u | paste -sd ' ') || true
  [ -z "$changed" ] ||
    fail "with this chart and these files pods of the first track would start anew, and nobody has tried that: $changed. Deploy them first, with the image of now: \`deploy --digest $(jq -r '.image.digest // ""' <<<"$good")\`"
}
# Templates of pods, but for the canary's, and for the sum of Secrets, which a dry run cannot read.
templates() {
  awk '
    /^---/ { kind = name = ""; inside = 0; next }
    /^kind: / { kind = $2 }
    /^  name: / && name == "" { name = $2 }
    inside && /^ ? ?[^ #]/ { inside = 0 }
    /^  template:/ && kind ~ /^(Deployment|StatefulSet|DaemonSet)$/ && name !~ /-canary$/ { inside = 1; next }
    inside && !/checksum\/secrets:/ && !/^ *#/ { print kind "/" name ":" $0 }'
}

# abort_track DIGEST: by what Helm has kept, and not by files: the chart and the settings of before are back as well. Requests
# first, and then the pods. Nobody waits for any of it: the first track is ready, and whoever cancels has minutes.
abort_track() {
  local base at
  if [ "$dry_run" = yes ]; then
    read_history
    go_back REVISION-WITHOUT-REQUESTS --no-hooks
    go_back REVISION-BEFORE --no-hooks
    return
  fi
  if [ "$exists" = no ] || ! has_canary; then say "there is no canary: nothing to do"; return; fi
  if [ -n "$1" ] && [ "$(canary_image)" != "$1" ]; then say "the canary is of $(canary_image), and so somebody else's: it stays"; return; fi
  base=$(last_good alone)
  [ -n "$base" ] || fail "no revision without a canary is known any more: \`rollback --to\` one, or \`canary promote\`"
  at=$(without_requests "$base")
  if [ -n "$at" ]; then go_back "$at" --no-hooks || say "the weight could not be set to 0; going on"; fi
  go_back "$base" --no-hooks || fail "the canary could not be taken away: see \`helm status\`, and abort again"
  say "revision $base again, with its chart and its settings: what was deployed beside the canary is gone too"
}
# The revision in which the canary stood ready behind this one, if there is one.
without_requests() {
  local number own found
  own=$(values_of "$1") || unread "$1"
  own=$(jq -cS .image <<<"$own")
  for number in $(jq -r --argjson base "$1" "map(select(.revision > \$base and $was_deployed)) | .[].revision" <<<"$revisions"); do
    found=$(values_of "$number") || unread "$number"
    if jq -e --argjson own "$own" '.canary.enabled == true and .canary.weight == 0
      and [.image.digest // "", .image.tag // ""] == [$own.digest // "", $own.tag // ""]' <<<"$found" >/dev/null; then
      printf '%s' "$number"
      return 0
    fi
  done
}

off_track() {
  upgrade "$@" --set canary.weight=0 --no-hooks || say "the weight could not be set to 0; going on"
  upgrade "$@" --set canary.enabled=false --set canary.weight=0 --set-string canary.image.digest= --set-string canary.image.tag= \
    --no-hooks --wait
}

promote_track() {
  local digest tag
  digest=$(held .canary.image.digest) tag=$(held .canary.image.tag)
  # Not kept: the first track's own image, which is to be another.
  keep_places
  keep_others
  local same=(--set-string "image.digest=${digest:-}" --set-string "image.tag=${tag:-}")
  # What a dry run cannot know.
  if [ "$dry_run" = yes ]; then same=(--set canary.enabled=true); fi
  upgrade "${same[@]}" --wait ||
    fail "the first track is not all of that version. The canary serves on as before: promote again, or abort, which takes the first track back too"
  off_track "${same[@]}" || fail "the canary could not be taken away: promote again"
}
