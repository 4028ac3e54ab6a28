/* Tasks and their links for people, as the API tells them; of `keyferry task list`, `show`, `status` and `watch`.
 *
 * `width`: lines are cut off there; 0: nowhere. Thread: the main one. */
#ifndef KEYFERRY_CMD_TASK_VIEW_H
#define KEYFERRY_CMD_TASK_VIEW_H

#include "base/error.h"

#include <jansson.h>
#include <stdio.h>

/* A line per task of the array, and below it the causes of those that have failed. */
void task_view_tasks(const json_t *tasks, FILE *out, bool colours, size_t width);
void task_view_task(const json_t *task, FILE *out, bool colours);
/* Of the status: the task's state in a line, and a line per link. */
void task_view_status(const json_t *status, FILE *out, bool colours, size_t width);
/* "streaming, lag 0.2 s, 1200 records/s" of a task; returns out. */
const char *task_view_progress(const json_t *task, char *out, size_t cap);
/* Its limits, in a line. */
void task_view_limits(const json_t *task, FILE *out);

#endif
