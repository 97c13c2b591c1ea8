/* SPDX-License-Identifier: Apache-2.0
 * main.c - finds the verb, reads its options, prints help. What a verb does is in its cmd_*.c. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "src/base/fail.h"
#include "src/cli/signals.h"
#include "src/cli/term.h"
#include "src/cli/verbs.h"

static const struct verb verbs[] = {
    {"run", VERB_RUN, "", 0, 0, "chat in the terminal, or answer one prompt",
     "On a terminal this is a chat with history and line editing; /help lists its commands and "
     "Ctrl-C stops a reply. With -p, or when standard input or output is no terminal, the prompt "
     "comes from -p or standard input, and only the completion is printed; thinking stands inside "
     "<think> tags. A prompt that does not fit the context is refused with both counts.", cmd_run},
    {"inspect", VERB_INSPECT, "MODEL", 0, 1, "show what is in a model file",
     "Prints sizes, types and metadata, everything from the file escaped.", cmd_inspect},
    {"fit", VERB_FIT, "MODEL", 0, 1, "say whether a model fits here, and how fast it would be",
     "Predicts peak memory and speed before anything is loaded. Exit code 3 when it does not fit.",
     cmd_fit},
    {"tokenize", VERB_TOKENIZE, "", 0, 0, "text to token ids and back",
     "Reads standard input. Control tokens spelled out in the text stay text unless --special is "
     "given.", cmd_tokenize},
    {"logits", VERB_LOGITS, "", 0, 0, "write the logits of a token sequence",
     "Writes little-endian float32, one row of n_vocab numbers for each id. The cache is f32 unless "
     "--kv says otherwise.", cmd_logits},
    {"perplexity", VERB_PERPLEXITY, "", 0, 0, "judge a model by a text",
     "The text is tokenised once and cut into windows of --ctx tokens (512); where the model wants a "
     "BOS it replaces a window's first token; the second half of each window is predicted; a last "
     "short window is dropped. --kl-base adds kl_mean, kl_p99 and top1_agreement against "
     "distributions that --save-logits wrote on the same text.", cmd_perplexity},
    {"bench", VERB_BENCH, "", 0, 0, "measure speed and memory traffic here",
     "Prefill of --pp tokens, decode of --tg tokens at batch 1 from an empty context, then the "
     "batches. The memory bandwidth is measured in turn with the decode runs.", cmd_bench},
    {"eval", VERB_EVAL, "puzzles|gsm8k|svamp", 1, 1, "measure how often a model is right",
     "Greedy without --temp. puzzles: held-out puzzles of fikr's own families, a row each; gsm8k and "
     "svamp: word problems written by people, from --data. Shares come with their 95 % intervals "
     "(Wilson).", cmd_eval},
    {"convert", VERB_CONVERT, "IN OUT", 2, 2, "safetensors folder to GGUF, or back",
     "IN is a folder with config.json and *.safetensors, or a GGUF file; OUT is a path ending in "
     ".gguf, or a folder to create. A checkpoint of `fikr train` becomes a GGUF file. With --lora the "
     "adapter is merged into the weights of IN.", cmd_convert},
    {"quantize", VERB_QUANTIZE, "IN OUT", 2, 2, "make one file that is read at 2, 3, 4, 5, 6 or 8 bits",
     "IN is a GGUF file, best of 16 bits; OUT a GGUF file of planes: `--bits` says how deep it is read, "
     "and a file that is cut after a plane works at its bits. The program calibrates with a text that "
     "comes with it. A run that was broken off leaves OUT.resume: the same command goes on from it.",
     cmd_quantize},
    {"pull", VERB_PULL, "NAME|URL", 0, 1, "fetch a model by name or URL",
     "Downloads go to FILE.part, continue there after a break, and get their name only when the "
     "sha256 is right. Without an operand the known names are listed.", cmd_pull},
    {"puzzles", VERB_PUZZLES, "", 0, 0, "make puzzles with their thinking, or grade replies",
     "Prints puzzles as training sees them: the prompt, the thinking, the answer. The same seed gives "
     "the same puzzles on every machine; a puzzle of dev or test never occurs in train. With --grade: "
     "recognises the puzzle in each prompt and says whether the reply is right.", cmd_puzzles},
    {"train", VERB_TRAIN, "RECIPE", 1, 1, "train a model by a recipe",
     "Makes a model of random numbers and trains it on puzzles, as the recipe says; every value in "
     "use is printed first. The folder --out gets checkpoints, run.jsonl and at the end model.gguf. A "
     "recipe with lora trains adapters over the model -m on word problems and ends in adapter.gguf. "
     "Ctrl-C writes a checkpoint; --resume goes on from it.", cmd_train},
};
static const size_t n_verbs = sizeof verbs / sizeof verbs[0];

static void print_overview(FILE *f)
{
    fputs("fikr runs reasoning models on the computer you have.\n\nusage: fikr VERB [OPTIONS]\n\n", f);
    for (size_t i = 0; i < n_verbs; i++) {
        int n = fprintf(f, "  %s %s", verbs[i].name, verbs[i].operands);
        fprintf(f, "%*s%s\n", n < 22 ? 22 - n : 1, "", verbs[i].summary);
    }
    fputs("\n`fikr VERB --help` lists a verb's options; `fikr --version` says which fikr this is.\n"
          "Exit codes: 0 done, 1 failed, 2 bad input or file, 3 out of memory, 4 busy,\n"
          "130 interrupted.\n", f);
}

/* Text from column `at` on, broken between words before column 80, with a newline at its end. */
static void print_wrapped(const char *text, int indent, int at)
{
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + 1 + n > 79) at = printf("\n%*s", indent, "") - 1;
        if (at > indent) at += printf(" ");
        at += printf("%.*s", n, text);
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void print_help(const struct verb *v)
{
    enum { COLUMN = 28 };
    printf("usage: fikr %s%s%s [OPTIONS]\n\n", v->name, v->operands[0] ? " " : "", v->operands);
    print_wrapped(v->detail, 0, 0);
    putchar('\n');
    for (size_t i = 0; i < n_arg_specs; i++) {
        const struct arg_spec *s = &arg_specs[i];
        if (!(s->verbs & (unsigned)v->bit)) continue;
        int n = printf("  %s%s%s", s->alias ? s->alias : "", s->alias ? ", " : "", s->name);
        if (s->value) n += printf(" %s", s->value);
        if (n > COLUMN - 2) n = printf("\n") - 1;
        printf("%*s", COLUMN - n, "");
        print_wrapped(s->help, COLUMN, COLUMN);
    }
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < n_verbs; i++)
        if (!strcmp(verbs[i].name, name)) return &verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    struct fk_error err = {0};
    const char *names[16];
    for (size_t i = 0; i < n_verbs; i++) names[i] = verbs[i].name;
    const char *near = args_nearest(name, names, n_verbs);
    const char *kind = name[0] == '-' ? "option" : "verb";
    if (near)
        fail(&err, FK_EINVAL, "unknown %s '%s'; did you mean `fikr %s`?", kind, name, near);
    else
        fail(&err, FK_EINVAL, "unknown %s '%s'; `fikr --help` lists the verbs", kind, name);
    return term_complain(&err);
}

int main(int argc, char **argv)
{
    /* Only the character set: numbers are read and written with a point everywhere. */
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
    signals_install();

    if (argc < 2) {
        print_overview(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--version")) {
        printf("fikr %s\n", fk_version());
        return term_finish(0);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || (!strcmp(name, "help") && argc == 2)) {
        print_overview(stdout);
        return term_finish(0);
    }
    bool help = !strcmp(name, "help");
    if (help) name = argv[2];
    const struct verb *verb = find_verb(name);
    if (!verb) return unknown_verb(name);

    struct args a;
    struct fk_error err = {0};
    args_init(&a);
    int code;
    if (!help && args_parse(&a, verb, argc - 2, argv + 2, &err)) {
        code = term_complain(&err);
    } else if (help || a.help) {
        print_help(verb);
        code = term_finish(0);
    } else {
        code = verb->run(&a);
    }
    args_fini(&a);
    return code;
}
