# shellcheck shell=bash disable=SC2154 # what lib.sh and its reader set
# Taking the pods of a release away, and bringing as many back, for `restore` and `failover`. How many there were is written on
# the Deployment before: whoever tries again behind a failure finds none running, and must know it all the same.

# Of this script alone: a restore and a fail-over do not read what the other has left.
halted=rulebox.dev/pods-before-$me

# count_of NAME [--context CONTEXT]: how many pods are wanted, and how many were before they were taken away; nothing if there
# is no such Deployment.
count_of() {
  local name=$1
  shift
  ask_kubectl "$@" get deployment "$(fullname)-$name" --ignore-not-found \
    --output "jsonpath={.spec.replicas} {.metadata.annotations.${halted//./\\.}}"
}

# halt NAME [--context CONTEXT]: takes all of its pods away; the number of them goes to `pods`, 0 if there are none to bring back.
pods=0
halt() {
  local name=$1 found now before
  shift
  found=$(count_of "$name" "$@") || return 1
  read -r now before <<<"$found" || true
  pods=0
  if [ "$dry_run" = yes ]; then
    # It cannot know which there are: a canary is seldom.
    case $name in *-canary) return 0 ;; esac
    now=N
  fi
  [ -n "${now:-}" ] || return 0
  if [ "$now" = 0 ]; then
    pods=${before:-0}
    [ "$pods" = 0 ] || say "$(fullname)-$name has no pods since the try before, and had $pods"
    return 0
  fi
  run_kubectl "$@" annotate deployment "$(fullname)-$name" "$halted=$now" --overwrite || return 1
  run_kubectl "$@" scale deployment "$(fullname)-$name" --replicas 0 || return 1
  pods=$now
}

# resume NAME PODS [--context CONTEXT]: brings so many back, and waits for them.
resume() {
  local name=$1 pods=$2
  shift 2
  run_kubectl "$@" scale deployment "$(fullname)-$name" --replicas "$pods" || return 1
  run_kubectl "$@" rollout status deployment "$(fullname)-$name" --timeout "$timeout" || return 1
  run_kubectl "$@" annotate deployment "$(fullname)-$name" "$halted-" || return 1
}
