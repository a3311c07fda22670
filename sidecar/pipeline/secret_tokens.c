/* SPDX-License-Identifier: Apache-2.0 */
/* Issuers give their tokens a prefix so that they can be found where they should not be; this is the list. Below it
 * are the few that have a shape instead. Sources: the issuers' own pages on the format of their tokens. The bounds
 * are lower than what they say, since a token of an older or a newer form must be found too, and what is asked of
 * the letters (a digit among them) keeps words out.
 *
 * A token is looked for where a word of 16 bytes starts (secret_spots.h). */
#include "sidecar/pipeline/secret_tokens.h"

#include "core/status.h"
#include "sidecar/pipeline/letters.h"

#include <pthread.h>
#include <stdatomic.h>

/* Letters that the rest may have: bits. */
enum { ALNUM = 1, DASHES = 2, BASE64 = 4, DOT = 8, HEX = 16 };
enum { WORD = ALNUM | DASHES, DOTTED = WORD | DOT };

enum {
    LOOK_MAX = 400, /* letters, before it is known that it is one */
    FORTY = 40,
    BEHIND_MAX = 24 /* letters that may stand behind an open end: tags, lengths, two times */
};

typedef struct token_rule {
    const char *prefix; /* some of it may stand before the word: see `before` */
    uint8_t before;     /* bytes of the prefix before the word's start */
    uint8_t letters;    /* of the rest */
    uint8_t min_rest;
    bool any; /* no digit is asked for */
} token_rule;

/* Of those that begin alike the longer one comes first. */
static const token_rule rules[] = {
    {"AAAAAAAAAAAAAAAAAAAA", 0, ALNUM | BASE64, 40, false}, /* X */
    {"APA91b", 0, WORD, 100, false},                        /* Firebase */
    {"ABSK", 0, ALNUM | BASE64, 60, false},                 /* AWS Bedrock */
    {"ABIA", 0, ALNUM, 12, true},                           /* AWS */
    {"ACCA", 0, ALNUM, 12, true},                           /* AWS */
    {"AKIA", 0, ALNUM, 12, true},                           /* AWS */
    {"ASIA", 0, ALNUM, 12, true},                           /* AWS */
    {"AIza", 0, WORD, 30, true},                            /* Google */
    {"AKCp", 0, ALNUM, 40, false},                          /* Artifactory */
    {"AGE-SECRET-KEY-PQ-1", 0, ALNUM, 40, true},            /* age */
    {"AGE-SECRET-KEY-1", 0, ALNUM, 40, true},               /* age */
    {"AQVN", 0, WORD, 30, false},                           /* Yandex */
    {"ATATT3", 0, WORD | BASE64, 40, false},                /* Atlassian */
    {"ATCTT3", 0, WORD | BASE64, 40, false},                /* Atlassian */
    {"ATBB", 0, ALNUM, 28, false},                          /* Bitbucket */
    {"api_org_", 0, ALNUM, 20, true},                       /* Hugging Face */
    {"apify_api_", 0, ALNUM, 20, true},                     /* Apify */
    {"bkua_", 0, ALNUM, 30, true},                          /* Buildkite */
    {"CCIPAT_", 0, WORD, 20, false},                        /* CircleCI */
    {"csk-", 0, ALNUM, 30, false},                          /* Cerebras */
    {"cfut_", 0, WORD, 20, false},                          /* Cloudflare */
    {"CFPAT-", 0, WORD, 20, false},                         /* Contentful */
    {"co_", 0, ALNUM, 30, false},                           /* Cohere */
    {"dapi", 0, HEX, 30, true},                             /* Databricks */
    {"dckr_pat_", 0, WORD, 20, true},                       /* Docker */
    {"doo_v1_", 0, HEX, 40, true},                          /* DigitalOcean */
    {"dop_v1_", 0, HEX, 40, true},                          /* DigitalOcean */
    {"dor_v1_", 0, HEX, 40, true},                          /* DigitalOcean */
    {"dsk_", 0, WORD, 20, false},                           /* DeepSeek and others */
    {"dp.pt.", 6, ALNUM, 30, true},                         /* Doppler */
    {"dp.st.", 6, WORD | DOT, 30, true},                    /* Doppler */
    {"dt0c01.", 7, DOTTED, 24, true},                       /* Dynatrace */
    {"dt0s16.", 7, DOTTED, 24, true},                       /* Dynatrace */
    {"EAACEdEose0cBA", 0, ALNUM, 10, true},                 /* Facebook */
    {"EAAA", 0, WORD, 50, false},                           /* Square, Facebook */
    {"eyJ", 0, DOTTED, 14, true},                           /* a JWT, or another JSON in base64 */
    {"FLWSECK", 0, WORD, 12, false},                        /* Flutterwave */
    {"figd_", 0, WORD, 20, true},                           /* Figma */
    {"figu_", 0, WORD, 20, true},                           /* Figma */
    {"fc-", 0, HEX, 28, false},                             /* Firecrawl */
    {"fm1_", 0, ALNUM | BASE64, 30, false},                 /* Fly.io */
    {"fm2_", 0, ALNUM | BASE64, 30, false},                 /* Fly.io */
    {"fo1_", 0, WORD, 30, false},                           /* Fly.io */
    {"fw_", 0, ALNUM, 20, false},                           /* Fireworks */
    {"gho_", 0, ALNUM, 30, true},                           /* GitHub */
    {"ghp_", 0, ALNUM, 30, true},                           /* GitHub */
    {"ghr_", 0, ALNUM, 30, true},                           /* GitHub */
    {"ghs_", 0, ALNUM, 30, true},                           /* GitHub */
    {"ghu_", 0, ALNUM, 30, true},                           /* GitHub */
    {"github_pat_", 0, WORD, 20, true},                     /* GitHub */
    {"glpat-", 0, DOTTED, 16, true},                        /* GitLab, as all down to glsoat- */
    {"glcbt-", 0, DOTTED, 16, true},
    {"gldt-", 0, DOTTED, 16, true},
    {"glft-", 0, DOTTED, 16, true},
    {"glimt-", 0, DOTTED, 16, true},
    {"glptt-", 0, DOTTED, 16, true},
    {"glrt-", 0, DOTTED, 16, true},
    {"glagent-", 0, DOTTED, 16, true},
    {"gloas-", 0, DOTTED, 16, true},
    {"glsoat-", 0, DOTTED, 16, true},
    {"glc_", 0, WORD | BASE64, 30, false},   /* Grafana */
    {"glsa_", 0, WORD, 30, true},            /* Grafana */
    {"GOCSPX-", 0, WORD, 20, true},          /* Google */
    {"GR1348941", 0, WORD, 16, true},        /* GitLab */
    {"gsk_", 0, ALNUM, 30, true},            /* Groq */
    {"hcaik_", 0, WORD, 20, true},           /* Honeycomb */
    {"hf_", 0, ALNUM, 24, true},             /* Hugging Face */
    {"HRKU-", 0, WORD, 20, true},            /* Heroku */
    {"hvb.", 4, WORD, 20, true},             /* Vault */
    {"hvr.", 4, WORD, 20, true},             /* Vault */
    {"hvs.", 4, WORD, 20, true},             /* Vault */
    {"jina_", 0, WORD, 20, true},            /* Jina */
    {"key-", 0, HEX, 30, false},             /* Mailgun */
    {"LTAI", 0, ALNUM, 14, false},           /* Alibaba */
    {"lin_api_", 0, ALNUM, 20, true},        /* Linear */
    {"lin_oauth_", 0, ALNUM, 20, true},      /* Linear */
    {"lsv2_", 0, WORD, 30, true},            /* LangSmith */
    {"ls__", 0, ALNUM, 28, false},           /* LangSmith */
    {"napi_", 0, ALNUM, 30, false},          /* Neon */
    {"npm_", 0, ALNUM, 30, true},            /* npm */
    {"nfp_", 0, ALNUM, 30, true},            /* Netlify */
    {"NRAK-", 0, ALNUM, 20, true},           /* New Relic */
    {"NRII-", 0, WORD, 24, true},            /* New Relic */
    {"NRJS-", 0, HEX, 16, true},             /* New Relic */
    {"ntn_", 0, ALNUM, 30, true},            /* Notion */
    {"nvapi-", 0, WORD, 20, true},           /* NVIDIA */
    {"oy2", 0, ALNUM, 40, false},            /* NuGet */
    {"ops_", 0, WORD, 60, false},            /* 1Password */
    {"pa-", 0, WORD, 30, false},             /* Voyage */
    {"pat-na1-", 0, WORD, 24, true},         /* HubSpot */
    {"pat-eu1-", 0, WORD, 24, true},         /* HubSpot */
    {"pcsk_", 0, WORD, 20, true},            /* Pinecone */
    {"phx_", 0, ALNUM, 30, true},            /* PostHog */
    {"phc_", 0, ALNUM, 30, true},            /* PostHog */
    {"PMAK-", 0, WORD, 30, true},            /* Postman */
    {"pplx-", 0, ALNUM, 20, true},           /* Perplexity */
    {"pscale_", 0, DOTTED, 20, true},        /* PlanetScale */
    {"pul-", 0, HEX, 30, true},              /* Pulumi */
    {"pypi-", 0, WORD, 30, true},            /* PyPI */
    {"r8_", 0, ALNUM, 20, false},            /* Replicate */
    {"re_", 0, WORD, 28, false},             /* Resend */
    {"rdme_", 0, ALNUM, 30, true},           /* ReadMe */
    {"rk_live_", 0, ALNUM, 12, true},        /* Stripe */
    {"rk_test_", 0, ALNUM, 12, true},        /* Stripe */
    {"rnd_", 0, ALNUM, 20, false},           /* Render */
    {"rubygems_", 0, HEX, 30, true},         /* RubyGems */
    {"SG.", 3, DOTTED, 16, true},            /* SendGrid */
    {"s.", 2, ALNUM, 22, false},             /* Vault, older */
    {"sb_secret_", 0, WORD, 12, true},       /* Supabase */
    {"sbp_", 0, ALNUM, 30, true},            /* Supabase */
    {"secret_", 0, ALNUM, 30, false},        /* Notion, older */
    {"sgp_", 0, WORD, 30, true},             /* Sourcegraph */
    {"shpat_", 0, HEX, 24, true},            /* Shopify */
    {"shpca_", 0, HEX, 24, true},            /* Shopify */
    {"shppa_", 0, HEX, 24, true},            /* Shopify */
    {"shpss_", 0, HEX, 24, true},            /* Shopify */
    {"sk-ant-", 0, WORD, 12, true},          /* Anthropic */
    {"sk-proj-", 0, WORD, 12, true},         /* OpenAI */
    {"sk-svcacct-", 0, WORD, 12, true},      /* OpenAI */
    {"sk-lf-", 0, WORD, 12, true},           /* Langfuse */
    {"sk-or-", 0, WORD, 12, true},           /* OpenRouter */
    {"sk-", 0, WORD, 13, false},             /* OpenAI, DeepSeek, LiteLLM and others */
    {"sk_live_", 0, ALNUM, 8, true},         /* Stripe */
    {"sk_test_", 0, ALNUM, 8, true},         /* Stripe */
    {"sk_", 0, ALNUM, 32, false},            /* ElevenLabs */
    {"sl.", 3, WORD, 60, false},             /* Dropbox */
    {"sntrys_", 0, WORD | BASE64, 20, true}, /* Sentry */
    {"sntryu_", 0, HEX, 20, true},           /* Sentry */
    {"sqp_", 0, HEX, 30, true},              /* SonarQube */
    {"squ_", 0, HEX, 30, true},              /* SonarQube */
    {"sq0atp-", 0, WORD, 16, true},          /* Square */
    {"sq0csp-", 0, WORD, 16, true},          /* Square */
    {"SSWS", 0, WORD, 30, false},            /* Okta */
    {"tfp_", 0, WORD, 30, true},             /* Typeform */
    {"tgp_v1_", 0, WORD, 20, true},          /* Together */
    {"tvly-", 0, WORD, 16, true},            /* Tavily */
    {"v1.0-", 3, WORD, 60, false},           /* Cloudflare */
    {"v2.local.", 9, DOTTED, 30, true},      /* PASETO */
    {"v4.local.", 9, DOTTED, 30, true},      /* PASETO */
    {"v2.public.", 10, DOTTED, 60, true},    /* PASETO */
    {"v4.public.", 10, DOTTED, 60, true},    /* PASETO */
    {"vercel_", 0, ALNUM, 20, false},        /* Vercel */
    {"vcp_", 0, ALNUM, 20, false},           /* Vercel */
    {"vc_", 0, ALNUM, 24, false},            /* Vercel */
    {"whsec_", 0, ALNUM | BASE64, 20, true}, /* Stripe and other webhooks */
    {"wandb_v1_", 0, WORD, 20, true},        /* Weights & Biases */
    {"xai-", 0, ALNUM, 30, true},            /* xAI */
    {"xapp-", 0, WORD, 16, true},            /* Slack, as all down to xoxs- */
    {"xoxa-", 0, WORD, 10, true},
    {"xoxb-", 0, WORD, 10, true},
    {"xoxc-", 0, WORD, 10, true},
    {"xoxd-", 0, WORD | BASE64, 10, true},
    {"xoxe.", 5, WORD, 16, true},
    {"xoxe-", 0, WORD, 10, true},
    {"xoxo-", 0, WORD, 10, true},
    {"xoxp-", 0, WORD, 10, true},
    {"xoxr-", 0, WORD, 10, true},
    {"xoxs-", 0, WORD, 10, true},
    {"1//0", 0, WORD, 30, false}, /* Google, refresh tokens */
    {"ya29.", 5, WORD, 20, true}, /* Google */
    {"zpka_", 0, WORD, 20, true}, /* Zuplo */
};

#define DIGIT_KINDS (ALNUM | HEX)
#define TWICE(c, kinds) [c] = (kinds), [(c) - 'a' + 'A'] = (kinds)
static const uint8_t letter_kinds[256] = {
    ['0'] = DIGIT_KINDS,     ['1'] = DIGIT_KINDS,     ['2'] = DIGIT_KINDS,
    ['3'] = DIGIT_KINDS,     ['4'] = DIGIT_KINDS,     ['5'] = DIGIT_KINDS,
    ['6'] = DIGIT_KINDS,     ['7'] = DIGIT_KINDS,     ['8'] = DIGIT_KINDS,
    ['9'] = DIGIT_KINDS,     TWICE('a', DIGIT_KINDS), TWICE('b', DIGIT_KINDS),
    TWICE('c', DIGIT_KINDS), TWICE('d', DIGIT_KINDS), TWICE('e', DIGIT_KINDS),
    TWICE('f', DIGIT_KINDS), TWICE('g', ALNUM),       TWICE('h', ALNUM),
    TWICE('i', ALNUM),       TWICE('j', ALNUM),       TWICE('k', ALNUM),
    TWICE('l', ALNUM),       TWICE('m', ALNUM),       TWICE('n', ALNUM),
    TWICE('o', ALNUM),       TWICE('p', ALNUM),       TWICE('q', ALNUM),
    TWICE('r', ALNUM),       TWICE('s', ALNUM),       TWICE('t', ALNUM),
    TWICE('u', ALNUM),       TWICE('v', ALNUM),       TWICE('w', ALNUM),
    TWICE('x', ALNUM),       TWICE('y', ALNUM),       TWICE('z', ALNUM),
    ['-'] = DASHES,          ['_'] = DASHES,          ['+'] = BASE64,
    ['/'] = BASE64,          ['='] = BASE64,          ['.'] = DOT};

static inline unsigned kinds_of(uint8_t c) { return letter_kinds[c]; }

/* Letters of these kinds from `at` on. */
static size_t count(wb_slice text, size_t at, unsigned kinds)
{
    size_t n = 0;
    while (at + n < text.len && kinds_of(text.ptr[at + n]) & kinds) n++;
    return n;
}

/* The same, of at most `most`. */
static size_t count_upto(wb_slice text, size_t at, unsigned kinds, size_t most)
{
    wb_slice some = {text.ptr, text.len - at > most ? at + most : text.len};
    return count(some, at, kinds);
}

static bool has_digit(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (wb_is_digit(text.ptr[i])) return true;
    return false;
}

/* Is the letter before `at` the end of an escape (`\n`, `\x3d`, `\u00e9`, `%3D`, `%253D`) or of a terminal's colour (`[32m`)? */
static bool ends_escape(wb_slice text, size_t at)
{
    const uint8_t *p = text.ptr + at;
    if (at >= 2 && p[-2] == '\\') return true;
    if (at >= 3 && (p[-3] == '%' || (p[-1] == 'm' && wb_is_digit(p[-2])))) return true;
    if (at >= 4 && p[-4] == '\\' && p[-3] == 'x') return true;
    if (at >= 5 && p[-5] == '%' && p[-4] == '2' && p[-3] == '5') return true;
    return at >= 6 && p[-6] == '\\' && p[-5] == 'u';
}

static bool fits(const token_rule *rule, wb_slice text, size_t at, bool open_end, size_t *start,
                 size_t *len)
{
    size_t prefix = strlen(rule->prefix);
    if (at < rule->before || text.len - (at - rule->before) < prefix) return false;
    *start = at - rule->before;
    if (memcmp(text.ptr + *start, rule->prefix, prefix) != 0) return false;
    if (rule->before && !open_end && *start > 0 && kinds_of(text.ptr[*start - 1]) & WORD &&
        !ends_escape(text, *start))
        return false;
    size_t rest = count_upto(text, *start + prefix, rule->letters, LOOK_MAX);
    if (rest < rule->min_rest) return false;
    while (rest > rule->min_rest && text.ptr[*start + prefix + rest - 1] == '.') rest--;
    if (!rule->any && !has_digit((wb_slice){text.ptr + *start + prefix, rest})) return false;
    if (rest == LOOK_MAX) rest = count(text, *start + prefix, rule->letters);
    *len = prefix + rest;
    return true;
}

/* ---- those with a shape ---- */

/* Discord: three parts in base64, the first of them a number's. */
static size_t discord(wb_slice text, size_t at)
{
    size_t first, second, third;
    if (text.ptr[at] < 'M' || text.ptr[at] > 'O') return 0;
    first = count_upto(text, at, WORD, 29);
    if (first < 23 || first > 28) return 0;
    if (at + first >= text.len || text.ptr[at + first] != '.') return 0;
    second = count_upto(text, at + first + 1, WORD, 8);
    if (second < 6 || second > 7 || at + first + 1 + second >= text.len) return 0;
    if (text.ptr[at + first + 1 + second] != '.') return 0;
    third = count(text, at + first + second + 2, WORD);
    return third >= 27 ? first + second + third + 2 : 0;
}

/* Airtable: pat and 14 letters, a dot, 64 hexadecimal digits. */
static size_t airtable(wb_slice text, size_t at)
{
    if (text.ptr[at] != 'p' || text.ptr[at + 1] != 'a') return 0;
    if (!wb_slice_starts((wb_slice){text.ptr + at, text.len - at}, WB_S("pat"))) return 0;
    size_t first = count_upto(text, at, ALNUM, 21), end = at + first;
    if (first < 15 || first > 20 || end >= text.len || text.ptr[end] != '.') return 0;
    size_t hex = count(text, end + 1, HEX);
    return hex >= 60 ? first + 1 + hex : 0;
}

/* Telegram: a bot's number, a colon, 35 letters. */
static size_t telegram(wb_slice text, size_t at, bool open_end, size_t *start)
{
    size_t digits = 0, rest;
    if (at == 0 || text.ptr[at - 1] != ':') return 0;
    rest = count_upto(text, at, WORD, LOOK_MAX);
    if (rest < 33 || (rest > 40 && !open_end)) return 0;
    while (digits + 1 < at && wb_is_digit(text.ptr[at - 2 - digits])) digits++;
    if (digits < 8 || (digits > 10 && !open_end)) return 0;
    *start = at - 1 - digits;
    return digits + 1 + rest;
}

/* Twilio: SK and 32 hexadecimal digits. Mailchimp: 32 of them and -us with its data centre. */
static size_t of_hex(wb_slice text, size_t at, bool open_end)
{
    enum { DIGITS = 32 };
    if (text.ptr[at] == 'S' && text.ptr[at + 1] == 'K') {
        size_t hex = count_upto(text, at + 2, HEX, 64);
        return hex == DIGITS || (open_end && hex > DIGITS) ? 2 + hex : 0;
    }
    if (text.len - at < DIGITS + 4 || memcmp(text.ptr + at + DIGITS, "-us", 3) != 0) return 0;
    size_t centre = count(text, at + DIGITS + 3, ALNUM);
    if (count(text, at, HEX) != DIGITS) return 0;
    return centre >= 1 && centre <= (open_end ? 3 + BEHIND_MAX : 3) ? DIGITS + 3 + centre : 0;
}

/* Nothing of base64 stands beside the forty letters, and they are no part of a longer name. */
static bool stand_alone(wb_slice text, size_t at)
{
    size_t end = at + FORTY;
    if (end < text.len && kinds_of(text.ptr[end]) & (ALNUM | BASE64 | DASHES | DOT)) return false;
    return at == 0 || !(kinds_of(text.ptr[at - 1]) & BASE64) || text.ptr[at - 1] == '=';
}

/* AWS: a secret access key is 40 letters of base64 and nothing else. */
static size_t forty(wb_slice text, size_t at, bool open_end)
{
    bool digit = false, lower = false, upper = false;
    size_t turns = 0;
    if (text.len - at < FORTY) return 0;
    for (size_t i = at + FORTY; i-- > at;) /* from the end: most are shorter */
        if (!(kinds_of(text.ptr[i]) & (ALNUM | BASE64))) return 0;
    size_t n = count_upto(text, at, ALNUM | BASE64, FORTY + BEHIND_MAX + 1);
    if (open_end ? n > FORTY + BEHIND_MAX : !stand_alone(text, at)) return 0;
    for (size_t i = at; i < at + FORTY; i++) {
        uint8_t c = text.ptr[i];
        if (c == '=') return 0;
        bool was_upper = i > at && text.ptr[i - 1] >= 'A' && text.ptr[i - 1] <= 'Z';
        digit |= wb_is_digit(c);
        lower |= c >= 'a' && c <= 'z';
        upper |= c >= 'A' && c <= 'Z';
        turns += was_upper && c >= 'a';
    }
    return digit && lower && upper && turns >= 4 ? FORTY : 0;
}

/* ---- the list, by its first two letters ---- */

/* Most words have none of these beginnings, and two letters tell. */
enum { BUCKETS = 256, LETTERS = 256 };
static uint8_t bucket_first[BUCKETS]; /* a rule's place and 1; 0: none */
static uint8_t bucket_next[WB_COUNT(rules)];
static uint8_t dotted[WB_COUNT(rules)]; /* places of those with a dot before the word */
static size_t dotted_count;
static uint8_t begins[LETTERS]
                     [LETTERS / 8]; /* a bit for each two letters that a token begins with */
static pthread_once_t buckets_once = PTHREAD_ONCE_INIT;
static atomic_bool buckets_made; /* asking is cheaper */
_Static_assert(WB_COUNT(rules) < 255, "a place is a byte");

static inline unsigned bucket_of(uint8_t first, uint8_t second)
{
    return (first * 7U + second) % BUCKETS;
}

static void add_beginning(uint8_t first, uint8_t second)
{
    begins[first][second / 8] |= (uint8_t)(1U << second % 8);
}

static void make_buckets(void)
{
    for (size_t i = WB_COUNT(rules); i-- > 0;) { /* so that earlier ones come first */
        if (rules[i].before) {
            dotted[dotted_count++] = (uint8_t)i;
            continue;
        }
        uint8_t first = (uint8_t)rules[i].prefix[0], second = (uint8_t)rules[i].prefix[1];
        unsigned at = bucket_of(first, second);
        bucket_next[i] = bucket_first[at];
        bucket_first[at] = (uint8_t)(i + 1);
        add_beginning(first, second);
    }
    for (unsigned second = 0; second < LETTERS; second++) /* discord() */
        for (unsigned first = 'M'; first <= 'O'; first++)
            add_beginning((uint8_t)first, (uint8_t)second);
    add_beginning('p', 'a'); /* airtable() */
    add_beginning('S', 'K'); /* of_hex() */
    atomic_store_explicit(&buckets_made, true, memory_order_release);
}

static inline void need_buckets(void)
{
    if (!atomic_load_explicit(&buckets_made, memory_order_acquire))
        (void)pthread_once(&buckets_once, make_buckets);
}

static size_t listed(wb_slice text, size_t at, bool open_end, size_t *start)
{
    size_t len;
    const uint8_t *p = text.ptr + at;
    for (size_t i = bucket_first[bucket_of(p[0], p[1])]; i > 0; i = bucket_next[i - 1]) {
        const char *prefix = rules[i - 1].prefix;
        if ((uint8_t)prefix[0] != p[0] || (uint8_t)prefix[1] != p[1]) continue;
        if (fits(&rules[i - 1], text, at, open_end, start, &len)) return len;
    }
    if (at == 0 || text.ptr[at - 1] != '.') return 0;
    for (size_t i = 0; i < dotted_count; i++)
        if (fits(&rules[dotted[i]], text, at, open_end, start, &len)) return len;
    return 0;
}

static inline unsigned is_shaped(uint8_t c) { return (kinds_of(c) & (ALNUM | BASE64)) != 0; }

/* A byte below 0x20 among eight; in the messages of OTLP it is near the end of each text. */
static inline uint64_t has_control(const uint8_t *p)
{
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return (bytes - UINT64_C(0x2020202020202020)) & ~bytes & UINT64_C(0x8080808080808080);
}

/* As far as a token of an exact length must go on without a break; looked at are some of its bytes, among them where a
 * UUID has its dashes and where 32 hexadecimal digits end. */
static inline unsigned may_be_long(const uint8_t *p)
{
    enum { OF_HEX = 32 };
    unsigned has_end = (has_control(p + 16) | has_control(p + 24) | has_control(p + 32)) != 0;
    unsigned is_forty = is_shaped(p[8]) & is_shaped(p[20]) & is_shaped(p[OF_HEX]) & ~has_end;
    return is_forty | (unsigned)(p[OF_HEX] == '-');
}

static inline unsigned may_be(const uint8_t *p)
{
    unsigned begins_so = begins[p[0]][p[1] / 8] >> p[1] % 8 & 1U;
    unsigned is_behind = (unsigned)(p[-1] == '.') | (unsigned)(p[-1] == ':');
    return begins_so | is_behind | may_be_long(p);
}

bool wb_secret_token_near(wb_slice text, size_t at)
{
    if (at == 0 || text.len - at <= FORTY) return true;
    need_buckets();
    return (may_be(text.ptr + at) | may_be(text.ptr + at + 1)) != 0;
}

size_t wb_secret_token_at(wb_slice text, size_t at, bool open_end, size_t *start)
{
    size_t len = 0;
    if (text.len - at < 2) return 0;
    need_buckets();
    if ((len = listed(text, at, open_end, start)) > 0) return len;
    if ((len = telegram(text, at, open_end, start)) > 0) return len;
    *start = at;
    if ((len = discord(text, at)) > 0) return len;
    if ((len = airtable(text, at)) > 0) return len;
    if (text.len - at < 32 || !(kinds_of(text.ptr[at + 31]) & (ALNUM | BASE64))) return 0;
    if ((len = of_hex(text, at, open_end)) > 0) return len;
    return forty(text, at, open_end);
}
