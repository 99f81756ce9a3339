/* Messages by their types: what comes from the network or from protoc may be anything. */
#include "../check.h"

#include "../../cmd/common/memory.h"
#include "../../cmd/typed/typed.h"

static char set[64 * 1024];
static size_t set_size;

static struct typed_schema load(void)
{
    struct typed_schema schema = {0};
    char error[TYPED_ERROR];
    FILE *in = fopen(KINDS_DESC, "re");
    CHECK(in != NULL);
    set_size = fread(set, 1, sizeof(set), in);
    fclose(in);
    CHECK(set_size > 0 && set_size < sizeof(set));
    if (!typed_schema_load(&schema, set, set_size, error) || !typed_schema_link(&schema, error))
        FAIL("%s", error);
    return schema;
}

static const char example[] =
    "f_double: -1.5 f_float: 0.1 f_int32: -7 f_sint64: -9 f_fixed64: 5 f_string: \"a\\303\\244\" "
    "f_color: GREEN f_point { x: 1 } r_int32: 1 r_int32: -2 r_point { } r_point { y: 2 } "
    "m_string { key: \"a\" value: 1 } m_string { key: \"b\" value: 2 } m_int64 { key: -1 value { "
    "x: 3 } } "
    "c_point { } nested { o_int32: 0 nested { f_bool: true } } "
    "old { number: 1 Couple { a: 4 } Many { c: false } raw: \"\\000\\377\" [kinds2.more]: \"x\" }";

static struct typed_object *parse(struct typed_pool *pool, const struct typed_schema *schema,
                                  const char *text)
{
    char error[TYPED_ERROR];
    struct typed_object *object =
        typed_parse_text(pool, typed_find(schema, "kinds.All"), text, strlen(text), error);
    if (!object)
        FAIL("%s", error);
    return object;
}

static void print(const struct typed_object *object, char *buf, size_t size)
{
    FILE *out = fmemopen(buf, size, "w");
    CHECK(out != NULL);
    typed_print_text(out, object);
    CHECK_EQ(fclose(out), 0);
}

static struct typed_buffer encode(const struct typed_object *object)
{
    char error[TYPED_ERROR];
    struct typed_buffer wire = {0};
    if (!typed_encode(object, &wire, error))
        FAIL("%s", error);
    return wire;
}

TEST(typed, text_wire_text)
{
    struct typed_schema schema = load();
    struct typed_pool pool = {0};
    char text[2048], error[TYPED_ERROR];
    struct typed_buffer wire = encode(parse(&pool, &schema, example));
    struct typed_object *again =
        typed_decode(&pool, typed_find(&schema, "kinds.All"), wire.data, wire.size, error);
    CHECK(again != NULL);
    print(again, text, sizeof(text));
    CHECK_STR(text, example);
    xfree(wire.data);
    typed_pool_empty(&pool);
    typed_schema_fini(&schema);
}

/* Decode, and, if it decodes, do all that is done with a message. */
static bool handle(const struct typed_message *type, const char *data, size_t size)
{
    struct typed_pool pool = {0};
    char error[TYPED_ERROR], *exact = xresize(NULL, size);
    memcpy(exact, data, size);
    struct typed_object *object = typed_decode(&pool, type, exact, size, error);
    CHECK(object || *error);
    if (object) {
        FILE *out = fopen("/dev/null", "we");
        CHECK(out != NULL);
        struct typed_buffer wire = encode(object);
        typed_print_text(out, object);
        typed_print_json(out, object);
        fclose(out);
        xfree(wire.data);
    }
    typed_pool_empty(&pool);
    xfree(exact);
    return object != NULL;
}

TEST(typed, a_message_cut_or_flipped_anywhere)
{
    struct typed_schema schema = load();
    struct typed_pool pool = {0};
    const struct typed_message *type = typed_find(&schema, "kinds.All");
    struct typed_buffer wire = encode(parse(&pool, &schema, example));
    size_t refused = 0;
    for (size_t cut = 0; cut < wire.size; cut++)
        refused += !handle(type, wire.data, cut);
    CHECK(refused > wire.size / 2); /* the others end between two fields */
    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        wire.data[bit / 8] ^= (char)(1 << bit % 8);
        handle(type, wire.data, wire.size);
        wire.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    CHECK(handle(type, wire.data, wire.size));
    xfree(wire.data);
    typed_pool_empty(&pool);
    typed_schema_fini(&schema);
}

static bool try_descriptors(const char *data, size_t size, const struct typed_buffer *wire)
{
    struct typed_schema schema = {0};
    char error[TYPED_ERROR] = "";
    bool ok = typed_schema_load(&schema, data, size, error) && typed_schema_link(&schema, error);
    CHECK(ok || *error);
    const struct typed_message *type = ok ? typed_find(&schema, "kinds.Point") : NULL;
    if (type)
        handle(type, wire->data, wire->size);
    typed_schema_fini(&schema);
    return ok;
}

TEST(typed, descriptors_cut_or_flipped_anywhere)
{
    struct typed_schema schema = load();
    struct typed_pool pool = {0};
    struct typed_buffer wire = encode(parse(&pool, &schema, example));
    size_t refused = 0;
    for (size_t cut = 0; cut < set_size; cut++) {
        char *exact = xcopy(set, cut);
        refused += !try_descriptors(exact, cut, &wire);
        xfree(exact);
    }
    CHECK(refused > set_size - 4); /* nothing, and the first file alone, are whole */
    for (size_t bit = 0; bit < 8 * set_size; bit++) {
        set[bit / 8] ^= (char)(1 << bit % 8);
        try_descriptors(set, set_size, &wire);
        set[bit / 8] ^= (char)(1 << bit % 8);
    }
    CHECK(try_descriptors(set, set_size, &wire));
    xfree(wire.data);
    typed_pool_empty(&pool);
    typed_schema_fini(&schema);
}

TEST(typed, no_more_than_a_hundred_in_one_another)
{
    struct typed_schema schema = load();
    struct typed_pool pool = {0};
    char text[4096] = "", error[TYPED_ERROR];
    const struct typed_message *type = typed_find(&schema, "kinds.All");
    for (int depth = 1; depth <= TYPED_DEPTH; depth++) {
        struct typed_object *object = typed_parse_text(&pool, type, text, strlen(text), error);
        CHECK(object != NULL);
        struct typed_buffer wire = encode(object);
        CHECK(typed_decode(&pool, type, wire.data, wire.size, error));
        xfree(wire.data);
        memmove(text + 8, text, strlen(text) + 1);
        memcpy(text, "nested {", 8);
        memcpy(text + strlen(text), "}", 2);
    }
    CHECK(!typed_parse_text(&pool, type, text, strlen(text), error));
    CHECK(strstr(error, "more than 100") != NULL);
    typed_pool_empty(&pool);
    typed_schema_fini(&schema);
}

TEST(typed, reals_have_the_fewest_digits_that_read_back)
{
    char text[TYPED_REAL];
    CHECK_STR(typed_real((double)3.1415927f, true, text), "3.1415927");
    CHECK_STR(typed_real((double)0.1f, true, text), "0.1");
    CHECK_STR(typed_real(0.1, false, text), "0.1");
    CHECK_STR(typed_real(1.0 / 3, false, text), "0.3333333333333333");
    CHECK_STR(typed_real(1e21, false, text), "1e+21");
    CHECK_STR(typed_real(-0.0, false, text), "-0");
    for (uint64_t bits = 1, n = 0; n < 20000; n++, bits = bits * 6364136223846793005U + 1) {
        double value;
        memcpy(&value, &bits, sizeof(value));
        if (value == value && strtod(typed_real(value, false, text), NULL) != value)
            FAIL("%a: %s", value, text);
    }
}
