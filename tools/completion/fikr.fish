# SPDX-License-Identifier: Apache-2.0
# fish completion for fikr. Options are read from `fikr VERB --help`, so they are never out of date.

function __fikr_verbs
    fikr --help 2>/dev/null | string match -rg '^  ([a-z]+) +(?:[A-Z|]+ *)*(.*)' | paste - -
end

function __fikr_options
    set -l words (commandline -opc)
    fikr $words[2] --help 2>/dev/null | string match -rg '^  (?:-., )?(--[a-z0-9-]+)'
end

function __fikr_models
    set -l data $XDG_DATA_HOME
    test -n "$data"; or set data ~/.local/share
    for dir in $FIKR_MODELS $data/fikr/models
        for file in $dir/*.gguf
            path basename $file | string replace -r '\.gguf$' ''
        end
    end
end

complete -c fikr -f
complete -c fikr -n __fish_use_subcommand -a '(__fikr_verbs)'
complete -c fikr -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' \
    -a '(__fikr_options)'
complete -c fikr -n '__fish_seen_subcommand_from run tokenize logits perplexity bench eval train' -s m -l model \
    -r -F -a '(__fikr_models)'
complete -c fikr -n '__fish_seen_subcommand_from inspect fit' -F -a '(__fikr_models)'
complete -c fikr -n '__fish_seen_subcommand_from convert quantize train' -F
complete -c fikr -n '__fish_seen_subcommand_from eval' -a 'puzzles gsm8k svamp'
complete -c fikr -l lang -x -a 'en ar'
complete -c fikr -l split -x -a 'train dev test longer unseen'
complete -c fikr -n '__fish_seen_subcommand_from pull' -a '(fikr pull | string replace -r " .*" "")'
complete -c fikr -n '__fish_seen_subcommand_from perplexity' -s f -l file -r -F
complete -c fikr -n '__fish_seen_subcommand_from logits pull train' -s o -l out -r -F
complete -c fikr -n '__fish_seen_subcommand_from run fit logits perplexity bench eval convert' -l lora -r -F
complete -c fikr -l kv -x -a 'f16 f32 i8 i4'
complete -c fikr -l mla -x -a 'auto absorbed expanded'
complete -c fikr -l bits -x -a 'auto 2 3 4 6 8 exact'
complete -c fikr -l head -x -a 'plan whole 2 3 4 6'
complete -c fikr -l strip -x -a '2 3 4 6 plan'
complete -c fikr -n '__fish_seen_subcommand_from run' -l template -r -F \
    -a 'chatml llama2 llama3 gemma deepseek plain'
complete -c fikr -n '__fish_seen_subcommand_from run' -l think -x -a 'on off auto'
complete -c fikr -n '__fish_seen_subcommand_from convert' -l type -x -a 'f32 f16 bf16 q8_0'
complete -c fikr -n '__fish_seen_subcommand_from puzzles' -l style -x -a 'direct stepwise search'
