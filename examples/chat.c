/* SPDX-License-Identifier: Apache-2.0
 * chat.c - one question, one answer: the smallest program on libfikr.
 * Build: cc chat.c $(pkg-config --cflags --libs fikr) -o chat    Run: ./chat MODEL.gguf "Question" */
#include <fikr/fikr.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct fk_error err = {0};
    fk_model *model = NULL;
    fk_engine *engine = NULL;
    fk_session *session = NULL;
    int32_t *ids = NULL;
    size_t n_ids;
    int opens_thinking;
    if (argc != 3) return fprintf(stderr, "usage: chat MODEL.gguf QUESTION\n"), 2;
    struct fk_message message = {.role = "user", .content = argv[2]};
    struct fk_event ev = {0};
    if (fk_model_open(&model, argv[1], NULL, &err) || fk_engine_create(&engine, model, NULL, &err) ||
        fk_session_create(&session, engine, NULL, &err) ||
        fk_chat_render(model, &message, 1, NULL, NULL, &ids, &n_ids, &opens_thinking, &err) ||
        fk_session_prompt(session, ids, n_ids, opens_thinking, &err))
        fprintf(stderr, "%s\n", err.message);
    else
        while (!ev.finish && !fk_session_next(session, &ev, &err)) {
            fwrite(ev.text, 1, ev.n_bytes, stdout);
            fflush(stdout);
        }
    putchar('\n');
    fk_free(ids);
    fk_session_destroy(&session);
    fk_engine_destroy(&engine);
    fk_model_close(&model);
    return fk_exit_code(err.status);
}
