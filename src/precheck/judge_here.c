/* Items about files in place of servers, and about the machine that keyferry runs on. */
#include "base/memory.h"
#include "export/files.h"
#include "precheck/precheck_state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SEGMENTS_LEAST 4 /* as spool.max_size has it */
#define BEHIND_S 600     /* how long the target may be away before a spool of that size is full */

void judge_source_files(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	const struct inspection *files = options->files;
	struct finding *finding;

	if (!deployment_options_are_files(&options->task->source))
		return;
	if (!files) {
		if (!options->source_error)
			return;
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_SOURCE_FILES);
		finding_argument(finding, "%s", options->source_error->text);
		finding_argument(finding, "%s", options->source_error->hint);
		return;
	}
	finding = finding_add(subject, files->cut[0] ? PRECHECK_WARNING : PRECHECK_PASSED,
			      files->cut[0] ? TEXT_SOURCE_FILES_CUT : TEXT_NONE);
	finding_argument(finding, "%s", files->cut);
	finding_measured(finding, "%llu bytes, %llu keys, %llu commands",
			 (unsigned long long)(options->input ? options->input->total : 0), (unsigned long long)files->keys,
			 (unsigned long long)files->commands);
}

/* The servers that can load what a source of this version of RDB is written as. Version 10 is Redis 7.0, 8 is 4.0. */
static void judge_aof(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	const struct inspection *files = options->files;
	const char *name = files ? (files->server[0] ? files->server : "of an old version") : subject->precheck->target_name;
	int version = files ? (int)files->rdb_version : subject->precheck->abilities.rdb_version;

	if (options->task->target.mode != MODE_AOF || (files && version == 0))
		return;
	if (options->task->aof_format == AOF_MULTI_PART && version < 10)
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_AOF_PARTS), "%s", name);
	else if (version < 8)
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_AOF_SNAPSHOT), "%s", name);
}

void judge_target_files(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	const struct task_options *task = options->task;
	uint32_t masters = options->source ? deployment_topology(options->source)->shard_count : 1;
	uint32_t before = subject->precheck->report.count;
	struct finding *finding;
	struct error error;

	if (!deployment_options_are_files(&task->target))
		return;
	if (masters > 1 && !strstr(task->target.path, FILES_SHARD)) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_FILE_SHARD);
		finding_argument(finding, "%u", masters);
		finding_argument(finding, "%.300s", task->target.path);
	}
	/* Which of the files are the task's own, its links know. */
	for (uint32_t i = 0; task->existing != EXISTING_FLUSH && !options->own_data && i < masters; i++) {
		char number[16], *path;

		snprintf(number, sizeof(number), "%u", i);
		path = files_resolve(task->target.path, number);
		if (!files_free_of_others(path, task->target.mode == MODE_AOF && task->aof_format == AOF_MULTI_PART, &error)) {
			finding = finding_add(subject, PRECHECK_FAILED, TEXT_FILE_THERE);
			finding_argument(finding, "%s", error.text);
			finding_argument(finding, "%s", error.hint);
		}
		free(path);
	}
	judge_aof(subject);
	if (subject->precheck->report.count == before)
		finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "%s", task->target.path);
}

/* ---- this machine ---- */

/* The folder itself, or the nearest one above it that is there. */
static void nearest_folder(const char *path, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s", path);
	while (access(out, F_OK) != 0 && errno == ENOENT) {
		char *slash = strrchr(out, '/');

		if (!slash) {
			snprintf(out, PATH_MAX, ".");
			return;
		}
		slash[slash == out] = '\0';
	}
}

/* 0: the folder can be written. */
static int why_unusable(const char *folder)
{
	struct stat facts;

	if (stat(folder, &facts) < 0 || (S_ISDIR(facts.st_mode) && access(folder, W_OK | X_OK) < 0))
		return errno;
	return S_ISDIR(facts.st_mode) ? 0 : ENOTDIR;
}

void judge_work_directory(const struct subject *subject)
{
	const char *path = subject->precheck->options->task->data_dir;
	struct finding *finding;
	char folder[PATH_MAX];
	int wrong;

	nearest_folder(path, folder);
	wrong = why_unusable(folder);
	finding = finding_add(subject, wrong ? PRECHECK_FAILED : PRECHECK_PASSED, wrong ? TEXT_WORK_DIR : TEXT_NONE);
	finding_argument(finding, "%s", path);
	finding_argument(finding, "%s%s%s", wrong && strcmp(folder, path) != 0 ? folder : "",
			 wrong && strcmp(folder, path) != 0 ? ": " : "", strerror(wrong));
	finding_measured(finding, "%s", path);
}

void judge_disk(const struct subject *subject)
{
	const struct precheck *precheck = subject->precheck;
	const struct task_options *task = precheck->options->task;
	uint32_t links = precheck->options->source ? deployment_topology(precheck->options->source)->shard_count : 1;
	uint64_t least = SEGMENTS_LEAST * task->spool_segment_size * links, most = 0, free_bytes;
	char free_text[MEASURE_MAX], need_text[MEASURE_MAX];
	const struct node *node = NULL;
	struct finding *finding;
	struct statvfs facts;
	char folder[PATH_MAX];

	nearest_folder(task->data_dir, folder);
	if (statvfs(folder, &facts) < 0)
		return; /* the work directory's item says why */
	free_bytes = (uint64_t)facts.f_bavail * facts.f_frsize;
	/* The snapshots, and what is written while the target is away for a while; at most what the option allows. */
	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node))) {
		struct estimate estimate = precheck_estimate(precheck, node);
		double size = (double)estimate.bytes + (double)node_write_rate(node) * (estimate.seconds + BEHIND_S);

		most += size < (double)task->spool_max_size ? (uint64_t)size : task->spool_max_size;
	}
	if (precheck->options->input)
		most = precheck->options->input->total < task->spool_max_size ? precheck->options->input->total
									      : task->spool_max_size;
	measure_bytes(free_bytes, free_text);
	if (free_bytes < least) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_DISK_FULL);
		measure_bytes(least, need_text);
	} else {
		bool is_short = free_bytes < most;

		finding = finding_add(subject, is_short ? PRECHECK_WARNING : PRECHECK_PASSED,
				      is_short ? TEXT_DISK_SHORT : TEXT_NONE);
		measure_bytes(most, need_text);
	}
	finding_argument(finding, "%s", task->data_dir);
	finding_argument(finding, "%s", free_text);
	finding_argument(finding, "%s", need_text);
	finding_measured(finding, "%s, spool %s", free_text, need_text);
}
