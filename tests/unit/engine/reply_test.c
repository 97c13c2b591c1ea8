/* SPDX-License-Identifier: Apache-2.0
 * reply_test.c - thinking, budgets, loops, stop strings and ends, with replies steered by a bias that
 * makes the model say one byte for ever. The golden vocabularies have a token for every byte. */
#include "tests/unit/engine/desk.h"
#include <stdio.h>
#include <string.h>

struct told {
    char reasoning[4096], content[4096];
    size_t n_reasoning, n_content;
    int n_tokens, n_forced;
    enum fk_finish finish;
};

static int32_t byte_id(const struct desk *d, char c)
{
    char text[2] = {c, 0};
    int32_t id = tokenizer_find(d->model->tokenizer, text);
    assert_true(id >= 0);
    return id;
}

static void tell_all(fk_session *s, struct told *t)
{
    struct fk_error err;
    struct fk_event ev = {0};
    enum fk_status st;
    *t = (struct told){0};
    for (int i = 0; !ev.finish; i++) {
        assert_true(i < 4000);
        if (engine_next(s->engine, &s, 1, &ev, &st, &err)) desk_fail(&err);
        assert_non_null(ev.text);
        char *to = ev.part == FK_PART_REASONING ? t->reasoning : t->content;
        size_t *n = ev.part == FK_PART_REASONING ? &t->n_reasoning : &t->n_content;
        assert_true(*n + ev.n_bytes < sizeof t->content);
        memcpy(to + *n, ev.text, ev.n_bytes);
        *n += ev.n_bytes;
        to[*n] = 0;
        t->n_tokens += ev.token >= 0;
        t->n_forced += ev.forced != 0;
    }
    t->finish = ev.finish;
}

static void prompt_text(struct desk *d, fk_session *s, const char *text, bool opens)
{
    struct token_vec v = {0};
    struct fk_error err;
    if (tokenizer_encode(d->model->tokenizer, text, strlen(text), NULL, &v, &err)) desk_fail(&err);
    if (session_prompt(s, v.ids, v.n, opens, &err)) desk_fail(&err);
    mem_free(v.ids);
}

/* Says `c` for ever. */
struct steered {
    struct fk_logit_bias bias[2];
    struct fk_session_params p;
};
static void steer(struct desk *d, struct steered *x, char c)
{
    x->p = desk_greedy();
    x->bias[0] = (struct fk_logit_bias){byte_id(d, c), 1e6f};
    x->bias[1] = (struct fk_logit_bias){DESK_END, -1e6f};
    x->p.sampling.bias = x->bias;
    x->p.sampling.n_bias = 2;
}

static void a_loop_in_thinking_closes_it_and_outside_ends_the_reply(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 'x');
    x.p.no_loop_guard = 0;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", true);
    tell_all(s, &t);
    assert_int_equal(t.finish, FK_FINISH_LOOP);
    assert_true(t.n_reasoning >= LOOP_MIN_TOKENS && t.n_reasoning <= LOOP_MIN_TOKENS + 1);
    assert_int_equal(t.n_content, LOOP_MIN_TOKENS);
    assert_int_equal(strspn(t.content, "x"), LOOP_MIN_TOKENS);
    assert_int_equal(t.n_forced, d.engine->tags.close_ids.n);
    assert_int_equal(s->stats.n_loops_broken, 2);
    assert_int_equal(s->stats.n_answer, LOOP_MIN_TOKENS);
    assert_int_equal((int)(s->stats.n_thinking + s->stats.n_answer), t.n_tokens);
    session_destroy(&s);

    x.p.no_loop_guard = 1;
    x.p.max_tokens = 100;
    s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", true);
    tell_all(s, &t);
    assert_int_equal(t.finish, FK_FINISH_LENGTH);
    assert_int_equal(t.n_reasoning, 100);
    assert_int_equal(t.n_content, 0);
    session_destroy(&s);
    desk_close(&d);
}

static void a_budget_closes_the_thinking(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    const int budgets[] = {1, 7, 40};
    for (int i = 0; i < 3; i++) {
        steer(&d, &x, 'y');
        x.p.think_budget = budgets[i];
        x.p.max_tokens = 90;
        fk_session *s = desk_session(&d, &x.p);
        prompt_text(&d, s, "hello", true);
        tell_all(s, &t);
        int n_close = (int)d.engine->tags.close_ids.n;
        assert_int_equal(strspn(t.reasoning, "y"), budgets[i]);
        assert_int_equal(t.n_forced, n_close);
        assert_int_equal(t.n_tokens, 90);
        assert_int_equal(t.n_content, 90 - budgets[i] - n_close);
        assert_null(strstr(t.reasoning, "think"));
        assert_null(strstr(t.content, "think"));
        session_destroy(&s);
    }
    desk_close(&d);
}

static void thinking_can_be_forbidden_or_cut_short(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    struct fk_event ev;
    enum fk_status st;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 'z');
    x.p.thinking = FK_THINK_OFF;
    x.p.max_tokens = 60;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", true);
    tell_all(s, &t);
    assert_int_equal(strspn(t.reasoning, "\n"), t.n_reasoning);
    assert_int_equal(t.n_content, 60 - (int)d.engine->tags.close_ids.n);
    session_destroy(&s);

    x.p.thinking = FK_THINK_AUTO;
    s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", true);
    for (int i = 0; i < 5; i++) assert_int_equal(engine_next(d.engine, &s, 1, &ev, &st, NULL), FK_OK);
    atomic_store(&s->answer_now, 1);
    tell_all(s, &t);
    assert_int_equal(s->stats.n_thinking, 5 + d.engine->tags.close_ids.n);
    assert_int_equal(t.n_content, 60 - 5 - (int)d.engine->tags.close_ids.n);
    session_destroy(&s);

    x.p.raw = 1; /* tags mean nothing then */
    s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", true);
    tell_all(s, &t);
    assert_int_equal(t.n_content, 60);
    assert_int_equal(s->stats.n_thinking, 0);
    session_destroy(&s);
    desk_close(&d);
}

static void stop_strings_end_the_reply_and_are_left_out(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 's');
    const char *stops[] = {"nothing", "ssssssssss"};
    x.p.stop = stops;
    x.p.n_stop = 2;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_int_equal(t.finish, FK_FINISH_STOP);
    assert_int_equal(t.n_tokens, 10);
    assert_int_equal(t.n_content, 0);

    stops[1] = "never"; /* a reply that ends gives out what was held back for a stop string */
    x.p.max_tokens = 5;
    stops[0] = "sssssssssssss";
    assert_int_equal(session_set_params(s, &x.p, NULL), FK_OK);
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_int_equal(t.finish, FK_FINISH_LENGTH);
    assert_string_equal(t.content, "sssss");

    x.p.stop = NULL;
    assert_int_equal(session_set_params(s, &x.p, NULL), FK_EINVAL);
    stops[0] = "";
    x.p.stop = stops;
    assert_int_equal(session_set_params(s, &x.p, NULL), FK_EINVAL);
    x.p.n_stop = 17;
    assert_int_equal(session_set_params(s, &x.p, NULL), FK_EINVAL);
    session_destroy(&s);
    desk_close(&d);
}

static void the_end_token_ends_without_text(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 'a');
    x.bias[1].bias = 2e6f;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_int_equal(t.finish, FK_FINISH_STOP);
    assert_int_equal(t.n_tokens, 1);
    assert_int_equal(t.n_content, 0);
    assert_int_equal(s->seq.tokens[s->seq.n_tokens - 1], DESK_END);
    session_destroy(&s);
    desk_close(&d);
}

/* A reply that ends in the middle of a character shows U+FFFD once, and whole characters before. */
static void a_cut_character_is_marked(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 'a');
    int32_t lead = -1;
    for (int32_t id = 0; id < d.model->config.n_vocab && lead < 0; id++) {
        const char *bytes;
        size_t n;
        if (tokenizer_token_bytes(d.model->tokenizer, id, &bytes, &n) && n == 1 &&
            (unsigned char)bytes[0] == 0xe2)
            lead = id;
    }
    if (lead < 0) skip();
    x.bias[0].id = lead;
    x.p.max_tokens = 3;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_string_equal(t.content, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    session_destroy(&s);
    desk_close(&d);
}

/* "on" opens the thinking where the vocabulary has the tag; this one has not, so nothing is forced. */
static void thinking_on_forces_only_a_tag_that_exists(void **state)
{
    (void)state;
    struct desk d;
    struct steered x;
    struct told t;
    desk_open(&d, "llama.gguf", NULL);
    steer(&d, &x, 'q');
    x.p.thinking = FK_THINK_ON;
    x.p.max_tokens = 20;
    fk_session *s = desk_session(&d, &x.p);
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_int_equal(t.n_forced, 0);
    assert_int_equal(t.n_content, 20);
    d.engine->tags.open = byte_id(&d, '~'); /* as if '~' were the tag */
    prompt_text(&d, s, "hello", false);
    tell_all(s, &t);
    assert_int_equal(t.n_forced, d.engine->tags.open_ids.n);
    assert_int_equal(t.n_content, 0);
    assert_int_equal(strspn(t.reasoning, "q"), t.n_reasoning);
    session_destroy(&s);
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_in_thinking_closes_it_and_outside_ends_the_reply),
        cmocka_unit_test(a_budget_closes_the_thinking),
        cmocka_unit_test(thinking_can_be_forbidden_or_cut_short),
        cmocka_unit_test(stop_strings_end_the_reply_and_are_left_out),
        cmocka_unit_test(the_end_token_ends_without_text),
        cmocka_unit_test(a_cut_character_is_marked),
        cmocka_unit_test(thinking_on_forces_only_a_tag_that_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
