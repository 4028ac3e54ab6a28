/* Memory that is always there: allocation that ends the process with one clear line when the system has none
 * left. Everything keyferry keeps is bounded by options, so running out means the machine is misconfigured,
 * and a worker that stops and is started again resumes without loss.
 * Sizes that come from the wire are checked against a bound BEFORE they reach these functions.
 * Thread: any. Free with free(). */
#ifndef KEYFERRY_BASE_MEMORY_H
#define KEYFERRY_BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_alloc_zero(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *memory_realloc(void *old, size_t size) __attribute__((returns_nonnull));
/* count * size, checked for overflow. */
void *memory_realloc_array(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *memory_strdup(const char *text) __attribute__((malloc, returns_nonnull));
/* Of the empty text, `text` may be NULL. */
char *memory_strndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
char *memory_printf(const char *format, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Overwrites a secret; not optimised away. */
void memory_wipe(void *data, size_t len);

#endif
