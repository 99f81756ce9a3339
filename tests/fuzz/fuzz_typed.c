/* Target: messages by their types (weft sub --proto, weft pub --proto).
 *
 *     input   what it is (1): 0 a message, 1 text, 2 JSON of kinds.All; 3 size (2), descriptors, a
 * message
 *
 * A message that decodes is printed as text and as JSON, and each of these read back and encoded
 * decodes to what prints the same; so does what is parsed from text and JSON. Of descriptors
 * nothing holds but that they are refused, or that what they say can be worked with. */
#include "fuzz.h"

#include "cmd/common/memory.h"
#include "cmd/typed/typed.h"

static struct typed_schema kinds;

static void load_kinds(void)
{
    static char data[64 * 1024];
    char error[TYPED_ERROR];
    if (kinds.message_count)
        return;
    FILE *in = fopen(KINDS_DESC, "re");
    CHECK(in != NULL);
    size_t size = fread(data, 1, sizeof(data), in);
    fclose(in);
    CHECK(size > 0 && typed_schema_load(&kinds, data, size, error));
    CHECK(typed_schema_link(&kinds, error));
}

static char *printed(void (*print)(FILE *, const struct typed_object *),
                     const struct typed_object *object)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    print(out, object);
    fclose(out);
    return text;
}

/* What a type does not have cannot be written as text. */
static void forget_unknown(struct typed_object *object)
{
    object->unknown_count = 0;
    for (size_t i = 0; i < object->count; i++)
        for (size_t k = 0; object->slots[i].field->message && k < object->slots[i].count; k++)
            forget_unknown(object->slots[i].values[k].object);
}

/* Encoded and decoded it prints the same. False: a required field is not there. */
static bool check_wire(struct typed_pool *pool, const struct typed_object *object)
{
    char error[TYPED_ERROR];
    struct typed_buffer wire;
    if (!typed_encode(object, &wire, error)) {
        CHECK(strstr(error, "is required") != NULL);
        return false;
    }
    struct typed_object *again = typed_decode(pool, object->type, wire.data, wire.size, error);
    CHECK(again != NULL);
    char *before = printed(typed_print_text, object), *after = printed(typed_print_text, again);
    CHECK_STR(before, after);
    free(before);
    free(after);
    xfree(wire.data);
    return true;
}

static void check_back(struct typed_pool *pool, const struct typed_object *object,
                       void (*print)(FILE *, const struct typed_object *),
                       struct typed_object *(*parse)(struct typed_pool *,
                                                     const struct typed_message *, const char *,
                                                     size_t, char *))
{
    char error[TYPED_ERROR];
    char *text = printed(print, object);
    struct typed_object *again = parse(pool, object->type, text, strlen(text), error);
    if (again) {
        char *after = printed(print, again);
        CHECK_STR(text, after);
        free(after);
        check_wire(pool, again);
    } else if (!strstr(error, "NUL byte in object key")) {
        FAIL("%s\n%s", error, text);
    }
    free(text);
}

static void check_object(struct typed_pool *pool, struct typed_object *object)
{
    if (!object)
        return;
    forget_unknown(object);
    if (!check_wire(pool, object))
        return;
    check_back(pool, object, typed_print_text, typed_parse_text);
    check_back(pool, object, typed_print_json, typed_parse_json);
}

static void try_descriptors(struct input *in, struct typed_pool *pool)
{
    struct typed_schema schema = {0};
    char error[TYPED_ERROR] = "";
    size_t size, wanted = take_u16(in);
    const uint8_t *set = take_bytes(in, wanted, &size);
    if (typed_schema_load(&schema, set, size, error) && typed_schema_link(&schema, error)) {
        for (size_t i = 0; i < schema.message_count; i++) {
            const struct typed_message *type = typed_find(&schema, schema.messages[i]->name);
            struct typed_buffer wire;
            struct typed_object *object =
                type ? typed_decode(pool, type, in->at, in->left, error) : NULL;
            if (!object)
                continue;
            free(printed(typed_print_text, object));
            free(printed(typed_print_json, object));
            if (typed_encode(object, &wire, error))
                xfree(wire.data);
        }
    } else {
        CHECK(*error);
    }
    typed_schema_fini(&schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    struct typed_pool pool = {0};
    char error[TYPED_ERROR];
    load_kinds();
    unsigned what = take_u8(&in) % 4;
    const struct typed_message *type = typed_find(&kinds, "kinds.All");
    uint8_t *exact = exact_copy(in.at, in.left);
    const char *text = (const char *)exact;
    if (what == 0)
        check_object(&pool, typed_decode(&pool, type, exact, in.left, error));
    else if (what == 1)
        check_object(&pool, typed_parse_text(&pool, type, text, in.left, error));
    else if (what == 2)
        check_object(&pool, typed_parse_json(&pool, type, text, in.left, error));
    else
        try_descriptors(&in, &pool);
    free(exact);
    typed_pool_empty(&pool);
    return 0;
}
