#!/usr/bin/env bash
# Keeps a release as Helm does, in $PLACE/revisions, and writes down what it is told. What it is to install must be something that
# the real one ($HELM) renders. Changes whose numbers are in `fail` fail, and so do those that `trouble` has: `fails 2 WORDS`, the
# second one with these words; `hangs 2 WORDS`: it is under way until it is told to stop; `deaf`, it does not hear that. A revision
# whose number is in `unread` cannot be read.
set -euo pipefail
printf '%s\n' "helm ${*/#"$PLACE/"/}" >>"$PLACE/calls"
call="helm $*"
shift 2
kept=$PLACE/revisions last=0
while [ -d "$kept/$((last + 1))" ]; do last=$((last + 1)); done

describe() { # REVISION
  jq -nc --argjson n "$1" --arg status "$(cat "$kept/$1/status")" --arg version "$(cat "$kept/$1/version")" \
    --arg description "$(cat "$kept/$1/description" 2>/dev/null || echo 'Upgrade complete')" \
    '{name: "rulebox", revision: $n, status: $status, chart: "rulebox-\($version)", app_version: $version, $description}'
}
# What a change does: `next` is there, and this is how it ends. As Helm does: who stops an upgrade finds it written down, and who
# stops a roll-back does not; and where a roll-back fails, what it was to leave is superseded, whatever it was.
ends() { # PENDING
  local number how which words
  number=$(grep -E '^helm --namespace [^ ]+ (upgrade|rollback) ' "$PLACE/calls" | grep -cv -- ' --dry-run') || true
  if grep -qx "$number" "$PLACE/fail" 2>/dev/null; then stops failed "it fails"; fi
  while read -r how which words || [ -n "$how" ]; do
    [[ $call == *"$words"* ]] || continue
    [ "$which" = 0 ] || [ "$which" = "$(grep -F -- "$words" "$PLACE/calls" | grep -cv -- ' --dry-run')" ] || continue
    [ "$how" != fails ] || stops failed "it fails: $call"
    printf '%s' "$1" >"$next/status"
    if [ "$how" = deaf ]; then trap '' INT TERM
    elif [ "$1" = pending-rollback ]; then trap 'exit 130' INT TERM
    else trap 'stops failed "interrupted"' INT TERM; fi
    touch "$PLACE/hanging"
    for _ in {1..300}; do sleep 0.2; done
    exit 9
  done < <(cat "$PLACE/trouble" 2>/dev/null)
  for ((one = 1; one <= last; one++)); do
    if [ "$(cat "$kept/$one/status")" = deployed ]; then printf superseded >"$kept/$one/status"; fi
  done
  printf deployed >"$next/status"
  [ "$1" = pending-rollback ] || printf 'Upgrade complete' >"$next/description"
}
stops() {
  printf '%s' "$1" >"$next/status"
  case $call in
    *' rollback '*) printf superseded >"$kept/$last/status"; printf 'Rollback "rulebox" failed: %s' "$2" >"$next/description" ;;
    *) printf 'Upgrade "rulebox" failed: %s' "$2" >"$next/description" ;;
  esac
  echo "Error: $2" >&2
  exit 1
}

next=$kept/$((last + 1))
case $1 in
  list) if [ "$last" = 0 ]; then echo '[]'; else describe "$last" | jq -c '.revision |= tostring | [.]'; fi ;;
  get)
    [ "$last" != 0 ] || { echo 'Error: release: not found' >&2; exit 1; }
    if [ "${4:-}" = --revision ]; then
      last=$5
      if grep -qx "$last" "$PLACE/unread" 2>/dev/null; then echo 'Error: it is not there' >&2; exit 1; fi
    fi
    case $2 in values) cat "$kept/$last/values.json" ;; manifest) cat "$kept/$last/manifest.yaml" ;; esac
    ;;
  history) for ((one = 1; one <= last; one++)); do describe "$one"; done | jq -sc . ;;
  template) exec "$HELM" "$@" ;;
  rollback)
    [ -d "$kept/$3" ] || { echo "Error: release has no $3 version" >&2; exit 1; }
    cp -r "$kept/$3" "$next"
    printf 'Rollback to %s' "$3" >"$next/description"
    ends pending-rollback
    ;;
  upgrade)
    shift 2
    all=() dry=no
    while [ $# -gt 0 ]; do
      case $1 in
        --wait | --no-hooks) shift ;;
        --dry-run) dry=yes; shift ;;
        --timeout | --history-max | --output) shift 2 ;;
        *) all+=("$1"); shift ;;
      esac
    done
    # What files and flags come to, by a chart that has nothing of its own; and what the chart makes of them. The same of the same
    # chart by the same Helm is made once, for all tests ($MADE).
    key=$( (printf '%s\n' "$HELM" "${all[@]/#"$PLACE/"/}"; for one in "${all[@]}"; do [ ! -f "$one" ] || cat "$one"; done
      cd "${all[1]}/" && find -L . -type f -print0 | sort -z | xargs -0 sha256sum) | sha256sum)
    rendered=$MADE/${key%% *}
    if [ ! -f "$rendered.yaml" ]; then
      mkdir -p "$PLACE/said/templates"
      printf 'apiVersion: v2\nname: said\nversion: 1.0.0\n' >"$PLACE/said/Chart.yaml"
      echo '{{ toJson .Values }}' >"$PLACE/said/templates/values.yaml"
      "$HELM" template said "$PLACE/said" "${all[@]:2}" | sed -n '/^{/p' | jq -c 'del(.global)' >"$rendered.$$"
      mv "$rendered.$$" "$rendered.json"
      "$HELM" template "${all[@]}" --is-upgrade >"$rendered.$$"
      mv "$rendered.$$" "$rendered.yaml"
    fi
    if [ "$dry" = yes ]; then
      jq -nc --slurpfile config "$rendered.json" --rawfile manifest "$rendered.yaml" '{config: $config[0], $manifest}'
      exit 0
    fi
    mkdir "$next"
    printf 'Preparing upgrade' >"$next/description"
    cp "$rendered.json" "$next/values.json"
    cp "$rendered.yaml" "$next/manifest.yaml"
    sed -n 's/^appVersion: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "${all[1]}/Chart.yaml" >"$next/version"
    ends pending-upgrade
    ;;
  *) echo "helm: $*" >&2; exit 9 ;;
esac
