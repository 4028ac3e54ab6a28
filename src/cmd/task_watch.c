/* `keyferry task watch`: what the streams of the API tell, drawn again and again, or a line each.
 *
 * One task is watched by its own stream, which has its links; several, or all, by that of all tasks. */
#include "base/clock.h"
#include "base/columns.h"
#include "base/memory.h"
#include "cmd/task_calls.h"
#include "cmd/task_view.h"
#include "cmd/task_wait.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ASK_US 1000000    /* for the tree of the one task, not more often */
#define DRAW_US 200000    /* not more often than that */
#define REDRAW_US 1000000 /* times go on though nothing else does */
#define PROGRESS_US 10000000
#define NEWS 6 /* events below the picture */

struct watch {
	struct task_session *session;
	const char *until; /* NULL: none */
	uint64_t deadline_us;
	bool one;         /* task */
	json_t *tasks;    /* {"7": tree of the list}, as last told */
	json_t *status;   /* of the one; NULL: not told yet */
	char *news[NEWS]; /* the newest last */
	char *lost;       /* why the stream is away; NULL: it is there */
	bool stale;       /* the tree of the one is older than what its stream tells */
	bool told;        /* anything by the stream: who asks for --until sees at least how it is */
	bool changed;
	uint64_t asked_us, drawn_us, line_us;
	unsigned lines; /* of the picture that is on the screen */
	bool ended, ok; /* by --until, a failure, or a closed pipe */
	struct error error;
};

/* ---- which tasks ---- */

static bool is_watched(const struct watch *watch, const json_t *task)
{
	const struct task_session *session = watch->session;
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(task, "id")));
	for (size_t i = 0; i < session->arguments.words; i++)
		if (strcmp(task_word(session, i), task_text(task, "name")) == 0 || strcmp(task_word(session, i), id) == 0)
			return true;
	return session->arguments.words == 0;
}

static void keep_task(struct watch *watch, json_t *task)
{
	char id[24];

	if (!is_watched(watch, task))
		return;
	snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(task, "id")));
	json_object_set(watch->tasks, id, task);
	watch->changed = true;
}

/* Lists and streams have the name of the one that is meant by a number, too. */
static const char *name_of(const struct watch *watch, const json_t *task_id)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(task_id));
	return task_text(json_object_get(watch->tasks, id), "name");
}

static json_t *ask(struct watch *watch, char *path, struct error *error)
{
	return task_get(watch->session, path, error);
}

/* All that are named are there, else it is an error. */
static bool ask_tasks(struct watch *watch, struct error *error)
{
	struct task_session *session = watch->session;
	json_t *list, *task;
	size_t i;

	for (i = 0; i < session->arguments.words; i++) {
		task = ask(watch, task_path(task_word(session, i), NULL), error);
		if (!task)
			return false;
		keep_task(watch, task);
		json_decref(task);
	}
	if (session->arguments.words > 0)
		return true;
	list = ask(watch, memory_strdup("/api/v1/tasks"), error);
	json_array_foreach (json_object_get(list, "items"), i, task)
		keep_task(watch, task);
	json_decref(list);
	return list != NULL;
}

/* ---- --until ---- */

static void end_with(struct watch *watch, bool ok)
{
	watch->ended = true;
	watch->ok = ok;
}

static void look_for_end(struct watch *watch)
{
	const char *const states[] = {watch->until, NULL};
	size_t there = 0;
	const char *id;
	json_t *task;

	if (!watch->until || watch->ended || !watch->told)
		return;
	json_object_foreach (watch->tasks, id, task) {
		enum task_way way = task_way_of(task, states, &watch->error);

		there += way == TASK_THERE;
		if (way == TASK_GONE_ASTRAY) {
			end_with(watch, false);
			return;
		}
	}
	if (there > 0 && there == json_object_size(watch->tasks))
		end_with(watch, true);
	else if (watch->deadline_us && clock_monotonic_us() >= watch->deadline_us) {
		error_set(&watch->error, ERROR_INTERNAL, "not in state %s in the time of --timeout", watch->until);
		end_with(watch, false);
	}
}

/* ---- the picture ---- */

static void wipe(struct watch *watch)
{
	if (watch->lines > 0)
		printf("\r\033[%uA\033[J", watch->lines);
	watch->lines = 0;
}

static void print_picture(const struct watch *watch, FILE *out, size_t width)
{
	json_t *list = json_array(), *task;
	const char *id;

	json_object_foreach (watch->tasks, id, task)
		json_array_append(list, task);
	if (!watch->one)
		task_view_tasks(list, out, watch->session->colours, width);
	else if (watch->status)
		task_view_status(watch->status, out, watch->session->colours, width);
	json_decref(list);
	for (size_t i = 0; i < NEWS; i++)
		if (watch->news[i])
			fprintf(out, "%.*s\n", (int)columns_fit(watch->news[i], width), watch->news[i]);
	if (watch->lost)
		fprintf(out, "%.*s\n", (int)columns_fit(watch->lost, width), watch->lost);
}

/* No more lines than the screen has, so that all of them can be wiped. */
static void draw(struct watch *watch)
{
	struct winsize size = {.ws_col = 80, .ws_row = 24};
	char *picture = NULL, *at, *end;
	size_t len = 0;
	FILE *out = open_memstream(&picture, &len);

	if (!out)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20 || size.ws_row < 4)
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	print_picture(watch, out, size.ws_col - 1);
	fclose(out);
	wipe(watch);
	for (at = picture; (end = strchr(at, '\n')) && watch->lines + 1 < size.ws_row; at = end + 1) {
		fwrite(at, 1, (size_t)(end + 1 - at), stdout);
		watch->lines++;
	}
	free(picture);
	watch->changed = false;
	watch->drawn_us = clock_monotonic_us();
}

/* ---- lines ---- */

static void tell(struct watch *watch, char *line)
{
	if (watch->session->screen) {
		free(watch->news[0]);
		memmove(watch->news, watch->news + 1, sizeof(watch->news) - sizeof(watch->news[0]));
		watch->news[NEWS - 1] = line;
		watch->changed = true;
		return;
	}
	puts(line);
	free(line);
}

/* A change of state or an event. */
static void tell_entry(struct watch *watch, const json_t *entry, const char *what, const char *text)
{
	char *clean = task_clean(text), *name = task_clean(name_of(watch, json_object_get(entry, "task")));

	tell(watch, memory_printf("%s  %s  %s%s%s", task_text(entry, "time"), name, what, clean[0] ? ": " : "", clean));
	free(clean);
	free(name);
}

static void tell_progress(struct watch *watch)
{
	char text[256], time[32];
	const char *id;
	json_t *task;

	watch->line_us = clock_monotonic_us();
	json_object_foreach (watch->tasks, id, task) {
		char *name = task_clean(task_text(task, "name"));

		tell(watch, memory_printf("%s  %s  %s", clock_format_rfc3339(clock_wall_ms(), time), name,
					  task_view_progress(task, text, sizeof(text))));
		free(name);
	}
}

/* ---- the stream ---- */

static void print_event(const char *name, struct slice data)
{
	printf("{\"event\":\"%s\",\"data\":%.*s}\n", name, (int)data.len, (const char *)data.data);
}

static bool concerns(const struct watch *watch, const char *name, const json_t *data)
{
	if (watch->one || watch->session->arguments.words == 0 || strcmp(name, "gap") == 0)
		return true;
	if (strcmp(name, "task") == 0)
		return is_watched(watch, data);
	return name_of(watch, json_object_get(data, strcmp(name, "removed") == 0 ? "id" : "task"))[0] != '\0';
}

static void take_removed(struct watch *watch, const json_t *data)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(data, "id")));
	if (watch->one || (watch->until && json_object_get(watch->tasks, id))) {
		error_set(&watch->error, ERROR_USAGE, "task %s is deleted", task_text(json_object_get(watch->tasks, id), "name"));
		end_with(watch, false);
	}
	json_object_del(watch->tasks, id);
	watch->changed = true;
}

static bool take(void *owner, const char *name, struct slice data)
{
	struct watch *watch = owner;
	json_t *tree = json_loadb((const char *)data.data, data.len, 0, NULL);
	bool shown = tree && concerns(watch, name, tree);

	free(watch->lost);
	watch->lost = NULL;
	watch->told = true;
	if (shown && watch->session->json)
		print_event(name, data);
	if (shown && strcmp(name, "task") == 0) {
		keep_task(watch, tree);
	} else if (shown && strcmp(name, "status") == 0) {
		json_decref(watch->status);
		watch->status = json_incref(tree);
		watch->changed = watch->stale = true;
	} else if (shown && strcmp(name, "state") == 0) {
		watch->stale = true;
		watch->asked_us = 0;
		if (!watch->session->json)
			tell_entry(watch, tree, task_text(tree, "state"), task_text(json_object_get(tree, "error"), "text"));
	} else if (shown && strcmp(name, "incident") == 0 && !watch->session->json) {
		tell_entry(watch, tree, task_text(tree, "kind"), task_text(tree, "text"));
	} else if (shown && strcmp(name, "removed") == 0) {
		take_removed(watch, tree);
	}
	json_decref(tree);
	return !watch->ended;
}

static bool on_lost(void *owner, const struct error *error)
{
	struct watch *watch = owner;

	free(watch->lost);
	watch->lost = memory_printf("%s; trying again", error->text);
	watch->changed = true;
	if (!watch->session->screen)
		fprintf(stderr, "keyferry task watch: %s\n", watch->lost);
	return !watch->ended;
}

/* The stream of one task has no `wanted`, by which it is judged. What cannot be asked now is asked later. */
static void ask_again(struct watch *watch, uint64_t now)
{
	struct error ignored;
	json_t *task;

	if (!watch->one || !watch->stale || now - watch->asked_us < ASK_US || watch->lost)
		return;
	watch->asked_us = now;
	task = ask(watch, task_path(task_word(watch->session, 0), NULL), &ignored);
	if (task) {
		watch->stale = false;
		keep_task(watch, task);
	}
	json_decref(task);
}

static bool turn(void *owner)
{
	struct watch *watch = owner;
	uint64_t now = clock_monotonic_us();

	if (watch->until || !watch->session->json)
		ask_again(watch, now);
	look_for_end(watch);
	if (watch->session->screen && !watch->session->json) {
		if (watch->ended || (watch->changed && now - watch->drawn_us >= DRAW_US) || now - watch->drawn_us >= REDRAW_US)
			draw(watch);
	} else if (!watch->session->json && now - watch->line_us >= PROGRESS_US) {
		tell_progress(watch);
	}
	if (!task_flush())
		end_with(watch, true);
	return !watch->ended;
}

static bool read_until(const struct task_session *session, const char **ret, struct error *error)
{
	static const char *const states[] = {"created",   "prechecking", "precheck-failed", "ready",    "snapshot",
					     "streaming", "paused",      "failed",          "finished", NULL};

	return task_take_word(session, "until", states, ret, error);
}

bool cmd_task_watch(struct task_session *session, struct error *error)
{
	static const struct api_stream_events callbacks = {take, on_lost, turn};
	struct watch watch = {.session = session, .one = session->arguments.words == 1, .tasks = json_object()};
	char *path = watch.one ? task_path(task_word(session, 0), "/events") : memory_strdup("/api/v1/events");
	bool ok = read_until(session, &watch.until, error) && task_take_deadline(session, &watch.deadline_us, error) &&
		  ask_tasks(&watch, error);

	if (ok && arguments_given(&session->arguments, "timeout") && !watch.until) {
		error_set(error, ERROR_USAGE, "--timeout is for --until: without it, it goes on until it is interrupted");
		ok = false;
	}
	if (ok && !api_client_stream(session->client, path, NULL, &callbacks, &watch, error))
		ok = false;
	/* A script that waits for a state must not take an interruption for it. */
	if (!ok && error->kind == ERROR_NONE && watch.until)
		session->code = ERROR_INTERNAL;
	/* A task that is deleted ends its stream. */
	if (watch.ended) {
		ok = watch.ok;
		if (!ok)
			*error = watch.error;
	}
	for (size_t i = 0; i < NEWS; i++)
		free(watch.news[i]);
	free(watch.lost);
	free(path);
	json_decref(watch.tasks);
	json_decref(watch.status);
	return ok;
}
