/* What the options of a task document do, in Chinese, for the pages that options_table.c makes in English.
 * Thread: constant. */
#ifndef KEYFERRY_TASK_OPTIONS_ZH_H
#define KEYFERRY_TASK_OPTIONS_ZH_H

/* The sentence of the option at the path ("source.tls.ca", "expiry[].set"). NULL: there is none, which a test does not let happen. */
const char *option_sentence_zh(const char *path);
/* What an option takes (option_row.kind). NULL: likewise. */
const char *option_kind_zh(const char *kind);

#endif
