# Completion of drainctl for bash.                                                    -*- shell-script -*-

# Names of services as the daemon has them, one a line: nothing where there is none.
_drainctl_services() {
    drainctl "$@" --timeout 1s is-failed 2>/dev/null | sed -n 's/: .*//p'
}

_drainctl() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' socket=() i
    local verbs='status tree plan events logs check start stop restart drain resume wait reload kill is-running is-ready
        is-drained is-failed help version'
    local common='--socket --timeout --json --quiet --help' draining='--budget --reason --now --kill --no-wait --all'
    local options='' values=' --socket --timeout -t --budget -b --reason -r --until --for --signal -s --whom --lines -n '

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) [ $((i + 1)) -ge "$COMP_CWORD" ] || socket=(--socket "${COMP_WORDS[i + 1]}") ;;
        -* | =) ;;
        *) [[ -n $verb || $values == *" ${COMP_WORDS[i - 1]} "* ]] || verb=${COMP_WORDS[i]} ;;
        esac
    done
    [ "$previous" != = ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
    [ "$word" != = ] || word=''

    case $previous in
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); compopt -o filenames; return ;;
    --until) mapfile -t COMPREPLY < <(compgen -W 'quiesced stopped' -- "$word"); return ;;
    --for) mapfile -t COMPREPLY < <(compgen -W 'running ready quiesced stopped' -- "$word"); return ;;
    --whom) mapfile -t COMPREPLY < <(compgen -W 'main tree' -- "$word"); return ;;
    --signal | -s)
        mapfile -t COMPREPLY < <(compgen -W 'HUP INT QUIT USR1 USR2 TERM CONT STOP KILL WINCH' -- "$word"); return ;;
    --timeout | -t | --budget | -b | --reason | -r | --lines) return ;;
    -n) case $verb in events | logs) return ;; esac ;;
    esac

    case $verb in
    stop | restart) options=$draining ;;
    drain) options="$draining --until --exit" ;;
    start) options='--no-wait --all' ;;
    wait) options='--for' ;;
    plan) options='--budget' ;;
    events | logs) options='--lines --follow' ;;
    reload) options='--dry-run --restart --no-wait' ;;
    kill) options='--signal --whom --force' ;;
    esac

    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$word")
        return
    fi
    case $verb in
    '') mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
    help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
    check) mapfile -t COMPREPLY < <(compgen -f -- "$word"); compopt -o filenames ;;
    plan | version) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$(_drainctl_services "${socket[@]}")" -- "$word") ;;
    esac
}

complete -F _drainctl drainctl
