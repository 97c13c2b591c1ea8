/* SPDX-License-Identifier: Apache-2.0
 * grpo_params.h - the settings of a GRPO stage, as a recipe holds them. grpo.h says what they mean. */
#ifndef TRAIN_GRPO_PARAMS_H
#define TRAIN_GRPO_PARAMS_H
#include <stdbool.h>
#include <stdint.h>

enum grpo_kind { GRPO_GRPO, GRPO_DR_GRPO, GRPO_DAPO, GRPO_REJECTION };

/* Which of a prompt's right replies rejection sampling trains on. */
enum grpo_keep { GRPO_KEEP_SHORTEST, GRPO_KEEP_RANDOM };

struct grpo_params {
    enum grpo_kind kind;
    enum grpo_keep keep;          /* of GRPO_REJECTION alone */
    int64_t n_prompts, group;     /* groups that count in a step; replies of each */
    int64_t max_new, n_parallel;
    double temperature;
    double clip_low, clip_high, kl;
    int64_t n_updates;            /* optimizer steps per sampling */
    double reward_format;         /* closed its thinking, ended, but is wrong */
    bool mask_overlong;           /* replies cut at max_new take no part; else they earn 0 */
    double level_up;              /* running pass rate at which a family goes up a level */
};

#endif
