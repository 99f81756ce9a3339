/* Runs kept inputs through a target, without a fuzzer: the corpus and what was found once stay
 * tests of every build. Arguments are files, or folders whose files are run in order of name. No
 * input at all is a failure, as is a folder that cannot be read: it would hold for ever after a
 * rename. An input that fails ends the process, its name being the last one printed. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)16 << 20)

static size_t count;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        FAIL("cannot read %s", path);
    struct stat st;
    if (fstat(fileno(file), &st) < 0 || (size_t)st.st_size > FILE_MAX)
        FAIL("%s is larger than any input", path);
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size)
        FAIL("cannot read all of %s", path);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, visible, alphasort);
    if (n < 0)
        FAIL("cannot read the folder %s", path);
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) < 0)
            FAIL("no such file or folder: %s", argv[i]);
        if (S_ISDIR(st.st_mode))
            run_folder(argv[i]);
        else
            run_file(argv[i]);
    }
    if (count == 0)
        FAIL("no input given");
    printf("%zu inputs\n", count);
    return 0;
}
