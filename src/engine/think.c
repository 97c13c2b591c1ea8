/* SPDX-License-Identifier: Apache-2.0
 * think.c - opens and closes the thinking where the caller, a budget or the loop guard says so, by
 * putting the tag's tokens into the reply as if the model had said them. */
#include "src/engine/session.h"

void think_begin(fk_session *s, bool opens_thinking)
{
    const struct fk_session_params *p = &s->settings.p;
    const struct think_tags *tags = &s->engine->tags;
    s->think = (struct think_control){0};
    atomic_store(&s->answer_now, 0);
    if (p->thinking == FK_THINK_ON && !p->raw && !opens_thinking && tags->open >= 0)
        s->think.forced = &tags->open_ids;
}

static bool must_close(fk_session *s)
{
    const struct fk_session_params *p = &s->settings.p;
    if (!reply_in_thinking(&s->reply) || !s->engine->tags.close_ids.n) return false;
    if (p->thinking == FK_THINK_OFF || s->think.close_now) return true;
    if (p->think_budget && s->stats.n_thinking >= (uint64_t)p->think_budget) return true;
    return atomic_exchange(&s->answer_now, 0);
}

bool think_force(fk_session *s, int32_t *id)
{
    struct think_control *t = &s->think;
    if (!t->forced && must_close(s)) {
        t->forced = &s->engine->tags.close_ids;
        t->i_forced = 0;
        t->close_now = false;
    }
    if (!t->forced || t->i_forced >= t->forced->n) {
        t->forced = NULL;
        return false;
    }
    *id = t->forced->ids[t->i_forced++];
    if (t->i_forced == t->forced->n) {
        t->forced = NULL;
        t->i_forced = 0;
    }
    return true;
}
