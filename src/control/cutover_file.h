/* What a cut-over says to the process that runs the task, and to later ones: the file `cutover` in the work directory.
 *
 *   empty             a cut-over is under way
 *   "end"             the process that runs the task is to end, and none is to start
 *   "done <moment>"   the task was cut over: it does not start again, so that no supervisor begins to copy from the old source once more
 *
 * The first two count only while the process that wrote them holds the file's lock (flock): what one that was killed has left means nothing.
 * No pids are needed, so both processes may live in containers of their own that share the work directory.
 * Thread: the control thread; cutover_file_read(): any. */
#ifndef KEYFERRY_CONTROL_CUTOVER_FILE_H
#define KEYFERRY_CONTROL_CUTOVER_FILE_H

#include "base/error.h"

enum cutover_stage { CUTOVER_NONE, CUTOVER_UNDER_WAY, CUTOVER_ENDING, CUTOVER_DONE };

#define CUTOVER_MOMENT_MAX 40

struct cutover_file;

/* Makes and locks it. ERROR_BUSY: another cut-over of this task is under way. */
struct cutover_file *cutover_file_open(const char *data_dir, struct error *error) WARN_UNUSED;
bool cutover_file_end(struct cutover_file *file, struct error *error) WARN_UNUSED;
/* `moment`: RFC 3339. On the disk when it returns. */
bool cutover_file_done(struct cutover_file *file, const char *moment, struct error *error) WARN_UNUSED;
/* Removes it, unless it says "done". NULL is fine. */
void cutover_file_close(struct cutover_file *file);

/* What it says; costs one call where there is none. `moment` is filled for DONE. */
enum cutover_stage cutover_file_read(const char *data_dir, char moment[CUTOVER_MOMENT_MAX]);

#endif
