/* SPDX-License-Identifier: Apache-2.0 */
/* What each vendor sends and receives, in its own words, becomes the one shape of the model. The texts are as
 * the clients of tests/dialects write them; quotes are ' here. */
#include "sidecar/pipeline/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 8 * 1024 * 1024, ROOM_BYTES = 1024 * 1024 };

static wb_buffer room;

static int setup(void **state)
{
    wb_buffer_init(&room, ROOM_BYTES);
    *state = wb_arena_new(ARENA_BYTES);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    wb_buffer_done(&room);
    wb_arena_free(*state);
    return 0;
}

static wb_slice quoted(wb_arena *arena, const char *text)
{
    wb_slice copy;
    assert_int_equal(wb_arena_dup(arena, wb_slice_str(text), &copy), WB_OK);
    for (size_t i = 0; i < copy.len; i++)
        if (copy.ptr[i] == '\'') ((uint8_t *)(uintptr_t)copy.ptr)[i] = '"';
    return copy;
}

static void same(size_t row, wb_slice found, wb_slice expected)
{
    if (!wb_slice_eq(found, expected))
        fail_msg("row %zu: %.*s, not %.*s", row, WB_SLICE_ARG(found), WB_SLICE_ARG(expected));
}

typedef struct row {
    const char *given, *expected;
} row;

/* What was sent. */
static const row requests[] = {
    {"Which lights?", "[{'role':'user','parts':[{'type':'text','content':'Which lights?'}]}]"},
    {"'Which lights?'", "[{'role':'user','parts':[{'type':'text','content':'Which lights?'}]}]"},
    /* OpenAI */
    {"[{'role':'system','content':'be short'},{'role':'user','content':'hi'}]",
     "[{'role':'system','parts':[{'type':'text','content':'be short'}]},"
     "{'role':'user','parts':[{'type':'text','content':'hi'}]}]"},
    {"{'tools':[{'type':'function'}],'messages':[{'role':'assistant','content':null,'tool_calls':"
     "[{'id':'c1','type':'function','function':{'name':'tide','arguments':'{}'}}]},"
     "{'role':'tool','tool_call_id':'c1','content':'high'}]}",
     "[{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'tide','arguments':'{}'}]}"
     ","
     "{'role':'tool','parts':[{'type':'tool_call_response','id':'c1','response':'high'}]}]"},
    {"[{'role':'user','content':[{'type':'text','text':'see'},{'type':'image_url','image_url':"
     "{'url':'http://x'}},{'type':'input_audio','input_audio':{'n':1.5}}]}]",
     "[{'role':'user','parts':[{'type':'text','content':'see'},{'type':'uri','modality':'image',"
     "'uri':'http://x'},{'type':'input_audio','input_audio':{'n':1.5}}]}]"},
    {"[{'role':'assistant','function_call':{'name':'tide','arguments':'{}'}}]",
     "[{'role':'assistant','parts':[{'type':'tool_call','name':'tide','arguments':'{}'}]}]"},
    /* OpenAI's Responses */
    {"{'model':'m','instructions':'be short','input':'hi'}",
     "[{'role':'system','parts':[{'type':'text','content':'be short'}]},"
     "{'role':'user','parts':[{'type':'text','content':'hi'}]}]"},
    {"{'prompt':{'id':'p'},'input':[{'role':'user','content':[{'type':'input_text','text':'hi'},"
     "{'type':'input_image','image_url':'http://x'}]},"
     "{'type':'function_call','call_id':'c1','name':'tide','arguments':'{}'},"
     "{'type':'function_call_output','call_id':'c1','output':'high'}]}",
     "[{'role':'user','parts':[{'type':'text','content':'hi'},{'type':'uri','modality':'image',"
     "'uri':'http://x'}]},"
     "{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'tide','arguments':'{}'}]},"
     "{'role':'tool','parts':[{'type':'tool_call_response','id':'c1','response':'high'}]}]"},
    /* Anthropic */
    {"{'max_tokens':9,'system':[{'type':'text','text':'be short'}],'messages':[{'role':'assistant',"
     "'content':[{'type':'tool_use','id':'t1','name':'tide','input':{'at':'x'}}]},{'role':'user',"
     "'content':[{'type':'tool_result','tool_use_id':'t1','content':[{'type':'text','text':'hi'}]}]"
     "}]}",
     "[{'role':'system','parts':[{'type':'text','content':'be short'}]},"
     "{'role':'assistant','parts':[{'type':'tool_call','id':'t1','name':'tide','arguments':{'at':"
     "'x'}}]},{'role':'user','parts':[{'type':'tool_call_response','id':'t1','response':"
     "[{'type':'text','text':'hi'}]}]}]"},
    /* The AI SDK */
    {"{'system':'be short','prompt':'hi'}",
     "[{'role':'system','parts':[{'type':'text','content':'be short'}]},"
     "{'role':'user','parts':[{'type':'text','content':'hi'}]}]"},
    {"[{'role':'assistant','content':[{'type':'tool-call','toolCallId':'c1','toolName':'tide',"
     "'input':{'n':-1}}]},{'role':'tool','content':[{'type':'tool-result','toolCallId':'c1',"
     "'toolName':'tide','output':{'type':'text','value':'high'}}]}]",
     "[{'role':'assistant','parts':[{'type':'tool_call','id':'c1','name':'tide','arguments':{'n':"
     "-1}}]},{'role':'tool','parts':[{'type':'tool_call_response','id':'c1','response':'high'}]}]"},
    {"[{'role':'tool','content':[{'type':'tool-result','toolCallId':'c','result':[true,false,null]}"
     "]}]",
     "[{'role':'tool','parts':[{'type':'tool_call_response','id':'c','response':[true,false,null]}]"
     "}]"},
    /* right already: spaces and all */
    {"[ {'role':'user','parts':[{'type':'text','content':'hi'},{'type':'blob','x':1}]} ]",
     "[ {'role':'user','parts':[{'type':'text','content':'hi'},{'type':'blob','x':1}]} ]"},
    /* parts, but not as the model has them */
    {"[{'role':'user','parts':[{'text':'hi'},{'type':'text','text':'ho'},{'type':'thinking',"
     "'thinking':'hm'},{'odd':1},7]}]",
     "[{'role':'user','parts':[{'type':'text','content':'hi'},{'type':'text','content':'ho'},"
     "{'type':'reasoning','content':'hm'},{'odd':1}]}]"},
    {"['one','two']", "[{'role':'user','parts':[{'type':'text','content':'one'}]},"
                      "{'role':'user','parts':[{'type':'text','content':'two'}]}]"},
    {"[{'role':'user','content':{'type':'image','source':1}}]",
     "[{'role':'user','parts':[{'type':'image','source':1}]}]"},
    {"[{'role':'user','content':[{'type':'image_url'},{'type':'reasoning','summary':[]}]}]",
     "[{'role':'user','parts':[{'type':'image_url'},{'type':'reasoning','summary':[]}]}]"},
    {"[{'role':'user','content':'\\u00e9\\ud83d\\ude00\\u0000\\n'}]",
     "[{'role':'user','parts':[{'type':'text','content':'\xc3\xa9\xf0\x9f\x98\x80\\u0000\\n'}]}"
     "]"},
};

/* What came back. */
static const row answers[] = {
    {"Two red lights.",
     "[{'role':'assistant','parts':[{'type':'text','content':'Two red lights.'}]}]"},
    {"{'role':'assistant','content':'hi','refusal':null,'annotations':[]}",
     "[{'role':'assistant','parts':[{'type':'text','content':'hi'}]}]"},
    {"{'id':'x','choices':[{'finish_reason':'stop','index':0,'message':{'role':'assistant',"
     "'reasoning_content':'hm','content':'hi'}},{'text':'ho'},{'index':2}]}",
     "[{'role':'assistant','parts':[{'type':'reasoning','content':'hm'},{'type':'text','content':"
     "'hi'}],'finish_reason':'stop'},{'role':'assistant','parts':[{'type':'text','content':'ho'}]}"
     "]"},
    {"{'type':'message','role':'assistant','content':[{'type':'text','text':'hi'}],'stop_reason':"
     "'end_turn'}",
     "[{'role':'assistant','parts':[{'type':'text','content':'hi'}],'finish_reason':'end_turn'}]"},
    {"{'instructions':'be short','output':[{'type':'message','role':'assistant','content':"
     "[{'type':'output_text','text':'hi'}]}]}",
     "[{'role':'assistant','parts':[{'type':'text','content':'hi'}]}]"},
};

/* JSON that holds no message is the text of one; here within quotes, by its length. */
static const char *const texts[] = {
    "{'lights':2}",   "{}",       "[1,2]",           "[]",
    "[{'a':1}]",      "{'role'",  "{'messages':[]}", "{'a':1,'a':2}",
    "{'input':null}", "[['hi']]", "{'choices':[]}"};

static void rows_become(wb_arena *arena, const row *rows, size_t n, const char *role)
{
    for (size_t i = 0; i < n; i++) {
        wb_slice json = {0}, again = {0}, given = quoted(arena, rows[i].given);
        assert_int_equal(wb_messages_read(given, wb_slice_str(role), &room, arena, &json), WB_OK);
        same(i, json, quoted(arena, rows[i].expected));
        assert_int_equal(wb_messages_read(json, wb_slice_str(role), &room, arena, &again), WB_OK);
        same(i, again, json);
    }
}

static void requests_become_messages(void **state)
{
    rows_become(*state, requests, WB_COUNT(requests), "user");
}

static void answers_become_messages(void **state)
{
    rows_become(*state, answers, WB_COUNT(answers), "assistant");
}

static void other_json_is_a_text(void **state)
{
    wb_arena *arena = *state;
    for (size_t i = 0; i < WB_COUNT(texts); i++) {
        wb_slice json = {0}, given = quoted(arena, texts[i]), content = {0};
        const wb_json *root = NULL;
        assert_int_equal(wb_messages_read(given, WB_S("user"), &room, arena, &json), WB_OK);
        assert_int_equal(wb_messages_parse(json, arena, &root), WB_OK);
        assert_non_null(root);
        const wb_json *parts = wb_json_member(root->first, WB_S("parts"));
        assert_int_equal(root->n, 1);
        content = wb_json_member(parts->first, WB_S("content"))->text;
        same(i, content, given);
    }
    wb_slice json = {0};
    assert_int_equal(wb_messages_read((wb_slice){0}, WB_S("user"), &room, arena, &json),
                     WB_ERR_NOT_FOUND);
}

static void json_beyond_the_limits_is_a_text_or_nothing(void **state)
{
    wb_arena *arena = *state;
    wb_slice json = {0};
    enum { DEEP = 100, HUGE_BYTES = WB_MESSAGES_JSON_MAX + 1 };
    char deep[2 * DEEP + 1] = {0};
    memset(deep, '[', DEEP);
    memset(deep + DEEP, ']', DEEP);
    assert_int_equal(wb_messages_read(wb_slice_str(deep), WB_S("user"), &room, arena, &json),
                     WB_OK);
    assert_true(wb_slice_starts(json, WB_S("[{\"role\":\"user\",\"parts\":[{\"type\":\"text\"")));
    uint8_t *huge = wb_arena_alloc(arena, HUGE_BYTES);
    assert_non_null(huge);
    memset(huge, '[', HUGE_BYTES);
    assert_int_equal(
        wb_messages_read(wb_slice_of(huge, HUGE_BYTES), WB_S("user"), &room, arena, &json),
        WB_ERR_NO_MEMORY);
    /* 16 K nodes and more, of which each takes more room than the five bytes it is said with */
    for (size_t i = 1; i + 5 < HUGE_BYTES; i += 5) memcpy(huge + i, "[[]],", 5);
    assert_int_equal(
        wb_messages_read(wb_slice_of(huge, HUGE_BYTES - 1), WB_S("user"), &room, arena, &json),
        WB_ERR_NO_MEMORY);
}

static const row tools[] = {
    {"{'messages':[],'tools':[{'type':'function','function':{'name':'tide','description':'d',"
     "'parameters':{'type':'object'},'strict':true}}]}",
     "[{'type':'function','name':'tide','description':'d','parameters':{'type':'object'}}]"},
    {"[{'name':'tide','description':'d','input_schema':{'a':[1]}}]",
     "[{'type':'function','name':'tide','description':'d','parameters':{'a':[1]}}]"},
    {"{'tools':[{'type':'web_search'},7,{'type':'custom','name':'n'}]}",
     "[{'type':'web_search'},{'type':'custom','name':'n'}]"},
    {"{'messages':[{'role':'user','content':'\\'tools\\''}]}", NULL},
    {"plain", NULL},
    {"", NULL},
    {"{'tools':[]}", NULL},
    {"[", NULL},
};

static void tools_have_one_shape(void **state)
{
    wb_arena *arena = *state;
    for (size_t i = 0; i < WB_COUNT(tools); i++) {
        wb_slice json = {0};
        wb_value value = {.type = WB_VALUE_TEXT, .text = quoted(arena, tools[i].given)};
        wb_status status = wb_tools_read(value, &room, arena, &json);
        assert_int_equal(status, tools[i].expected ? WB_OK : WB_ERR_NOT_FOUND);
        if (tools[i].expected) same(i, json, quoted(arena, tools[i].expected));
    }
    maker m = {.arena = arena};
    wb_slice items[] = {
        make_len(&m, 1,
                 make_len(&m, 1,
                          quoted(arena, "{'type':'function','name':'a','inputSchema':"
                                        "{}}"))),
        make_len(&m, 1, make_raw(&m, 2, 0, WB_S("\x01")))};
    wb_value list = {.type = WB_VALUE_ARRAY, .bytes = make_joined(&m, items, 2)};
    wb_slice json = {0};
    assert_int_equal(wb_tools_read(list, &room, arena, &json), WB_OK);
    same(0, json, quoted(arena, "[{'type':'function','name':'a','parameters':{}}]"));
    assert_int_equal(wb_tools_read((wb_value){.type = WB_VALUE_BOOL}, &room, arena, &json),
                     WB_ERR_NOT_FOUND);
}

static const row arguments[] = {
    {"{'args': [], 'kwargs': {'at': 'x', 'n': [1.0, -2]}}", "{'at':'x','n':[1.0,-2]}"},
    {"{'args': ['x', 1], 'kwargs': {}}", "['x',1]"},
    {"{'args': [], 'kwargs': {}}", "{}"},
    {"{'args': ['x'], 'kwargs': {'n': 1}}", "{'args': ['x'], 'kwargs': {'n': 1}}"},
    {"{'args': [], 'kwargs': {'n': 1}, 'more': 1}", "{'args': [], 'kwargs': {'n': 1}, 'more': 1}"},
    {"{'args': {}, 'kwargs': {'n': 1}}", "{'args': {}, 'kwargs': {'n': 1}}"},
    {"{'kwargs': 1}", "{'kwargs': 1}"},
    {"say 'kwargs'", "say 'kwargs'"},
    {"{'at':'x'}", "{'at':'x'}"},
    {"", ""},
};

static void what_a_function_was_called_with_is_unwrapped(void **state)
{
    wb_arena *arena = *state;
    for (size_t i = 0; i < WB_COUNT(arguments); i++) {
        wb_slice json = {0};
        assert_int_equal(wb_arguments_read(quoted(arena, arguments[i].given), &room, arena, &json),
                         WB_OK);
        same(i, json, quoted(arena, arguments[i].expected));
    }
}

static wb_slice said(maker *m, const char *key, const char *value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)),
                     make_len(m, 2, make_len(m, 1, quoted(m->arena, value)))};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static void an_answer_in_parts_becomes_one_message(void **state)
{
    wb_arena *arena = *state;
    maker m = {.arena = arena};
    wb_slice json = {0};
    wb_slice parts[] = {
        said(&m, "ai.response.text", "hi"),
        said(&m, "ai.response.toolCalls", "[{'toolCallId':'c1','toolName':'tide','input':'{}'},7]"),
        said(&m, "ai.response.reasoning", "hm")};
    assert_int_equal(wb_messages_of_answer(make_joined(&m, parts, 3), &room, arena, &json), WB_OK);
    same(0, json,
         quoted(arena, "[{'role':'assistant','parts':[{'type':'reasoning','content':'hm'},"
                       "{'type':'text','content':'hi'},{'type':'tool_call','id':'c1','name':'tide',"
                       "'arguments':'{}'}]}]"));
    parts[0] = said(&m, "ai.response.toolCalls", "[");
    assert_int_equal(wb_messages_of_answer(parts[0], &room, arena, &json), WB_ERR_NOT_FOUND);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(other_json_is_a_text),
        WITH(json_beyond_the_limits_is_a_text_or_nothing),
        WITH(requests_become_messages),
        WITH(answers_become_messages),
        WITH(tools_have_one_shape),
        WITH(what_a_function_was_called_with_is_unwrapped),
        WITH(an_answer_in_parts_becomes_one_message),
    };
    return cmocka_run_group_tests_name("pipeline_messages", tests, NULL, NULL);
}
