# SPDX-License-Identifier: Apache-2.0
# bash completion for fikr. Options are read from `fikr VERB --help`, so they are never out of date.

_fikr_models() {
    local dir
    for dir in "$FIKR_MODELS" "${XDG_DATA_HOME:-$HOME/.local/share}/fikr/models"; do
        [ -n "$dir" ] && [ -d "$dir" ] && (cd "$dir" && ls -- *.gguf 2>/dev/null) | sed 's/\.gguf$//'
    done
}

_fikr() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]}
    local verb=${COMP_WORDS[1]} help words
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words help --help --version" -- "$cur")
        return
    fi
    case $prev in
    -m | --model)
        mapfile -t COMPREPLY < <(compgen -W "$(_fikr_models)" -- "$cur"; compgen -f -- "$cur")
        return ;;
    -f | --file | --lora | -o | --out | --save-logits | --kl-base | --plan | --imatrix | --calibrate)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    --kv) words="f16 f32 i8 i4" ;;
    --mla) words="auto absorbed expanded" ;;
    --bits) words="auto 2 3 4 6 8 exact" ;;
    --head) words="plan whole 2 3 4 6" ;;
    --strip) words="2 3 4 6 plan" ;;
    --think) words="on off auto" ;;
    --template) words="chatml llama2 llama3 gemma deepseek plain" ;;
    --lang) words="en ar" ;;
    --split) words="train dev test longer unseen" ;;
    --type) words="f32 f16 bf16 q8_0" ;;
    --style) words="direct stepwise search" ;;
    --family) words="add sub mul div paren countdown sort calendar gcd sequence equation letters
        compare time outside" ;;
    --data) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    *)
        help=$("$program" "$verb" --help 2>/dev/null)
        case $cur in
        -*) words=$(printf '%s\n' "$help" | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p') ;;
        *)
            case $verb in
            inspect | fit) words=$(_fikr_models) ;;
            eval) words="puzzles gsm8k svamp" ;;
            pull) words=$("$program" pull 2>/dev/null | sed 's/ .*//') ;;
            esac
            [ "$verb" = pull ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        esac ;;
    esac
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -o filenames -F _fikr fikr
