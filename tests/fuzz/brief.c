/*
 * Runs a fuzz target for a moment, without libFuzzer: the corpus as it is, then inputs mutated from it at random. For
 * tests/run; tests/fuzz/run is the thorough way.
 *
 *   brief SECONDS SEED CORPUS_FOLDER
 *
 * SEED 0 takes one from the clock. The seed is printed first: with it, and enough seconds, the same inputs come again.
 * What a target finds ends the program. CK_TAP_LOG_FILE_NAME, when set, gets one line of TAP at the end.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define INPUT_MAXIMUM 8192
#define INPUTS_MAXIMUM 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t bytes[INPUT_MAXIMUM];
    size_t length;
};

static struct input *corpus[INPUTS_MAXIMUM];
static size_t corpus_length;
static uint64_t state;

static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "brief: %s: %s\n", what, which);
    exit(2);
}

/* xorshift64*: the same inputs from the same seed, everywhere. */
static size_t below(size_t bound)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (size_t)((state * UINT64_C(2685821657736338717)) >> 33) % bound;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_input(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    struct input *input = calloc(1, sizeof(*input));
    if (!file || !input) {
        die("cannot read", path);
    }
    input->length = fread(input->bytes, 1, INPUT_MAXIMUM, file);
    (void)fclose(file);
    corpus[corpus_length++] = input;
}

/* In the order of their names, so that a seed means the same everywhere. */
static void read_corpus(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && corpus_length < INPUTS_MAXIMUM) {
            read_input(folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    if (corpus_length == 0) {
        die("there is no corpus in", folder);
    }
}

/* ---- mutations */

/* Replaces `removed` bytes at `at` by `length` others, as far as they fit. */
static void replace(struct input *input, size_t at, size_t removed, const uint8_t *bytes, size_t length)
{
    size_t rest = input->length - at - removed;
    if (at + length + rest > INPUT_MAXIMUM) {
        return;
    }
    memmove(input->bytes + at + length, input->bytes + at + removed, rest);
    memmove(input->bytes + at, bytes, length);
    input->length = at + length + rest;
}

static void mutate(struct input *input)
{
    static const uint8_t telling[] = "\r\n\r\n\0\t \"\\{}[],:;=0123456789abcdefv1t%/?*-.\x7f\x80\xc0\xed\xff";
    const struct input *other = corpus[below(corpus_length)];
    size_t at = below(input->length + 1);
    size_t span = below(input->length - at + 1);
    size_t few = span < 16 ? span : 16;
    size_t from = below(other->length + 1);
    switch (below(6)) {
    case 0: /* other bytes */
        replace(input, at, few ? 1 : 0, &telling[below(sizeof(telling) - 1)], 1);
        break;
    case 1: /* more bytes */
        replace(input, at, 0, &telling[below(sizeof(telling) - 4)], 1 + below(4));
        break;
    case 2: /* fewer bytes */
        replace(input, at, few, telling, 0);
        break;
    case 3: /* a flipped bit */
        if (at < input->length) {
            input->bytes[at] = (uint8_t)(input->bytes[at] ^ (1u << below(8)));
        }
        break;
    case 4: /* a piece of another input */
        replace(input, at, few, other->bytes + from, below(other->length - from + 1));
        break;
    default: { /* a piece twice */
        struct input piece;
        memcpy(piece.bytes, input->bytes + at, span);
        replace(input, at, 0, piece.bytes, span);
        break;
    }
    }
}

/* ---- running */

/* In memory of exactly its size, so that a byte read beyond it is found. */
static void run(const struct input *input)
{
    uint8_t *exact = malloc(input->length ? input->length : 1);
    if (!exact) {
        die("out of memory", "input");
    }
    memcpy(exact, input->bytes, input->length);
    (void)LLVMFuzzerTestOneInput(exact, input->length);
    free(exact);
}

static void report(size_t runs)
{
    const char *path = getenv("CK_TAP_LOG_FILE_NAME");
    (void)printf("%zu inputs\n", runs);
    if (path) {
        FILE *tap = fopen(path, "w");
        if (!tap) {
            die("cannot write", path);
        }
        (void)fprintf(tap, "ok 1 - %zu inputs\n", runs);
        (void)fclose(tap);
    }
}

int main(int count, char **words)
{
    if (count != 4) {
        die("usage", "brief SECONDS SEED CORPUS_FOLDER");
    }
    uint64_t end_ms = clock_monotonic_ms() + strtoull(words[1], NULL, 10) * 1000;
    uint64_t seed = strtoull(words[2], NULL, 10);
    state = seed ? seed : (uint64_t)clock_wall_ms();
    (void)printf("seed %" PRIu64 "\n", state);
    (void)fflush(stdout);
    read_corpus(words[3]);
    size_t runs = 0;
    for (; runs < corpus_length; runs++) {
        run(corpus[runs]);
    }
    for (; clock_monotonic_ms() < end_ms; runs++) {
        struct input input = *corpus[below(corpus_length)];
        for (size_t mutations = 1 + below(8); mutations > 0; mutations--) {
            mutate(&input);
        }
        run(&input);
    }
    report(runs);
    for (size_t i = 0; i < corpus_length; i++) {
        free(corpus[i]);
    }
    return 0;
}
