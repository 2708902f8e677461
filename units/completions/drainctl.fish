# Completion of drainctl for fish.

function __drainctl_services
    drainctl --timeout 1s is-failed 2>/dev/null | string replace -r ': .*' ''
end

set -l verbs status tree plan events logs check start stop restart drain resume wait reload kill is-running is-ready \
    is-drained is-failed help version
set -l draining stop restart drain
set -l of_services status tree events logs start stop restart drain resume wait reload kill is-running is-ready is-drained \
    is-failed
set -l no_verb "not __fish_seen_subcommand_from $verbs"

complete -c drainctl -f
complete -c drainctl -n "$no_verb" -a status -d 'What runs, and what it waits for'
complete -c drainctl -n "$no_verb" -a tree -d 'The processes of a service'
complete -c drainctl -n "$no_verb" -a plan -d 'What a drain would take in the worst case'
complete -c drainctl -n "$no_verb" -a events -d 'What happened'
complete -c drainctl -n "$no_verb" -a logs -d 'What services wrote'
complete -c drainctl -n "$no_verb" -a check -d 'Whether a configuration is valid'
complete -c drainctl -n "$no_verb" -a start -d 'Start services, and what they require'
complete -c drainctl -n "$no_verb" -a stop -d 'Drain services until they have stopped'
complete -c drainctl -n "$no_verb" -a restart -d 'Drain services, then start them again'
complete -c drainctl -n "$no_verb" -a drain -d 'Drain everything, or some services'
complete -c drainctl -n "$no_verb" -a resume -d 'Take a drain back'
complete -c drainctl -n "$no_verb" -a wait -d 'Wait for an operation, or for services'
complete -c drainctl -n "$no_verb" -a reload -d 'Read the configuration again; or ExecReload= of services'
complete -c drainctl -n "$no_verb" -a kill -d 'Send a signal to a service'
complete -c drainctl -n "$no_verb" -a is-running -d '0 when all of them run'
complete -c drainctl -n "$no_verb" -a is-ready -d '0 when all of them are ready'
complete -c drainctl -n "$no_verb" -a is-drained -d '0 when all of them have stopped'
complete -c drainctl -n "$no_verb" -a is-failed -d '0 when one of them has failed'
complete -c drainctl -n "$no_verb" -a help -d 'How to use it'
complete -c drainctl -n "$no_verb" -a version -d 'Which version this is'

complete -c drainctl -n "__fish_seen_subcommand_from $of_services" -a '(__drainctl_services)'
complete -c drainctl -n '__fish_seen_subcommand_from help' -a "$verbs"
complete -c drainctl -n '__fish_seen_subcommand_from check' -F

complete -c drainctl -l socket -r -F -d 'Control socket'
complete -c drainctl -s t -l timeout -x -d 'Wait no longer than this'
complete -c drainctl -s j -l json -d 'Replies as they are'
complete -c drainctl -s q -l quiet -d 'Errors only'
complete -c drainctl -s h -l help -d 'How to use it'

complete -c drainctl -n "__fish_seen_subcommand_from $draining plan" -s b -l budget -x -d 'How long it may take'
complete -c drainctl -n "__fish_seen_subcommand_from $draining" -s r -l reason -x -d 'Why'
complete -c drainctl -n "__fish_seen_subcommand_from $draining" -l now -d 'Signals go out now'
complete -c drainctl -n "__fish_seen_subcommand_from $draining" -l kill -d 'SIGKILL to all that is left'
complete -c drainctl -n "__fish_seen_subcommand_from kill" -l force -d 'Also while it drains'
complete -c drainctl -n "__fish_seen_subcommand_from $draining start reload" -l no-wait -d 'Do not wait; print the id'
complete -c drainctl -n "__fish_seen_subcommand_from $draining start" -s a -l all -d 'Every service'
complete -c drainctl -n '__fish_seen_subcommand_from drain' -l until -x -a 'quiesced stopped' -d 'How far'
complete -c drainctl -n '__fish_seen_subcommand_from drain' -l exit -d 'draind ends afterwards'
complete -c drainctl -n '__fish_seen_subcommand_from wait' -l for -x -a 'running ready quiesced stopped' -d 'Which state'
complete -c drainctl -n '__fish_seen_subcommand_from events logs' -s n -l lines -x -d 'The newest N'
complete -c drainctl -n '__fish_seen_subcommand_from events logs' -s f -l follow -d 'Go on as more comes'
complete -c drainctl -n '__fish_seen_subcommand_from kill' -s s -l signal -x -a 'HUP INT QUIT USR1 USR2 TERM CONT KILL' \
    -d 'Which signal'
complete -c drainctl -n '__fish_seen_subcommand_from kill' -l whom -x -a 'main tree' -d 'Whom'
complete -c drainctl -n '__fish_seen_subcommand_from reload' -l dry-run -d 'Only say what would change'
complete -c drainctl -n '__fish_seen_subcommand_from reload' -l restart -d 'Restart what needs it'
