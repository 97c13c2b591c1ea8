/* SPDX-License-Identifier: Apache-2.0
 * repl.h - the chat in the terminal. */
#ifndef CLI_REPL_H
#define CLI_REPL_H
#include <stdio.h>
#include "src/cli/args.h"
#include "src/cli/models.h"
#include "src/cli/answer.h"
#include "src/cli/talk.h"

int repl_run(const struct args *a);

/* The state that commands (repl_commands.c) look at and change. */
struct repl {
    const struct args *args;
    struct line *line;      /* where answers to questions are read, too */
    struct opened opened;
    fk_session *session;
    struct fk_engine_params engine_params;
    struct fk_session_params params;
    struct talk talk;
    char *template_text;   /* of --template, or NULL */
    struct buf attached;   /* what /read put before the next message */
    char *saved_path;      /* /save wrote it, so it may again */
    struct answer last;     /* the last reply, for /stats */
    int n_replies, n_regens;
    uint64_t total_tokens;
    double total_s;
    bool over;
};

/* Answers the user message that the talk ends with. */
void repl_answer(struct repl *r);
/* A session (and with another context, an engine) for the present params. */
enum fk_status repl_open_session(struct repl *r, struct fk_error *err);

/* Says which model it is, in two lines. */
void repl_greet(const struct repl *r);
/* Goes over to another model with a new conversation; the old one stays when that fails. A model of
 * the catalog that is not here is fetched, if the person says so. name "": lists what there is. */
void repl_model(struct repl *r, const char *name);

/* Runs "/word rest". */
void repl_command(struct repl *r, const char *line);
/* Names of all commands, for completion; NULL after the last. */
const char *repl_command_name(size_t i);

#endif
