#include "spool/writer.h"

#include <errno.h>

static void close_file(struct writer *writer)
{
	if (writer->file >= 0)
		segment_close(writer->store, writer->file);
	writer->file = -1;
}

bool writer_init(struct writer *writer, const struct segment_store *store)
{
	*writer = (struct writer){.store = store, .file = -1};
	writer->hash = XXH3_createState();
	writer->hash_ahead = XXH3_createState();
	if (!writer->hash || !writer->hash_ahead)
		return false;
	XXH3_64bits_reset(writer->hash);
	return true;
}

void writer_free(struct writer *writer)
{
	close_file(writer);
	XXH3_freeState(writer->hash);
	XXH3_freeState(writer->hash_ahead);
}

void writer_restart(struct writer *writer)
{
	close_file(writer);
	XXH3_64bits_reset(writer->hash);
	*writer = (struct writer){.store = writer->store, .file = -1, .hash = writer->hash, .hash_ahead = writer->hash_ahead};
}

void writer_resume(struct writer *writer, const struct recovery *found)
{
	writer->end = found->end;
	writer->recorded = found->end;
	writer->synced = found->synced;
	writer->next_segment = found->next_segment;
	writer->next_record = found->next_record;
	writer->new_names = true;
}

/* The file of this segment, made if need be. Negative errno. */
static int open_file(struct writer *writer, uint64_t number)
{
	int file;

	if (writer->file >= 0 && writer->number == number)
		return writer->file;
	if (number < writer->next_segment)
		file = segment_open(writer->store, number, true);
	else
		file = segment_create(writer->store, number);
	if (file < 0)
		return file;
	if (number >= writer->next_segment) {
		writer->next_segment = number + 1;
		writer->new_names = true;
	}
	close_file(writer);
	writer->file = file;
	writer->number = number;
	return file;
}

/* Writes the bytes of one segment and the records of the blocks that they complete. 0 or a negative errno. */
static int append_piece(struct writer *writer, uint64_t position, const uint8_t *data, size_t len, unsigned *next_record)
{
	uint64_t size = writer->store->size;
	int file = open_file(writer, position / size), result;

	if (file < 0)
		return file;
	result = segment_write(writer->store, file, position % size, data, len);
	while (len > 0 && result == 0) {
		uint64_t block = position - position % FORMAT_BLOCK, next = block + FORMAT_BLOCK;
		size_t part = next - position < len ? (size_t)(next - position) : len;

		XXH3_64bits_update(writer->hash_ahead, data, part);
		data += part;
		len -= part;
		position += part;
		if (position == next) {
			struct format_record record = {.end = next, .synced = writer->synced};

			record.sum = XXH3_64bits_digest(writer->hash_ahead);
			result = segment_write_record(writer->store, file, block, *next_record, &record);
			XXH3_64bits_reset(writer->hash_ahead);
			*next_record = 0;
		}
	}
	return result;
}

/* The record of the block that is not complete yet. */
static bool record_tail(struct writer *writer, struct error *error)
{
	uint64_t end = writer->end, number = end / writer->store->size;
	struct format_record record = {.end = end, .synced = writer->synced};
	int file, result;

	if (writer->recorded == end)
		return true;
	record.sum = XXH3_64bits_digest(writer->hash);
	file = result = open_file(writer, number);
	if (file >= 0)
		result = segment_write_record(writer->store, file, end - end % FORMAT_BLOCK, writer->next_record, &record);
	if (result < 0) {
		segment_error(writer->store, number, result, "the checksum cannot be written", error);
		return false;
	}
	writer->record_pending = true;
	writer->recorded = end;
	return true;
}

/* An append failed half-way. Its bytes stay where they are, behind the end, and the next attempt writes over them; but if it
 * completed the block that the end is in, it also wrote over that block's record. */
static void take_back(struct writer *writer)
{
	struct error ignored;

	writer->recorded = writer->end - writer->end % FORMAT_BLOCK;
	if (!record_tail(writer, &ignored))
		error_clear(&ignored); /* the next flush tries again */
}

bool writer_append(struct writer *writer, const void *data, size_t len, bool *ret_disk_full, struct error *error)
{
	uint64_t size = writer->store->size, position = writer->end, end = position + len;
	unsigned next_record = writer->next_record;
	const uint8_t *at = data;
	XXH3_state_t *hash;

	XXH3_copyState(writer->hash_ahead, writer->hash);
	while (position < end) {
		uint64_t rest = size - position % size;
		size_t piece = rest < end - position ? (size_t)rest : (size_t)(end - position);
		int result = append_piece(writer, position, at, piece, &next_record);

		if (result < 0) {
			segment_error(writer->store, position / size, result, "cannot be written", error);
			*ret_disk_full = segment_result_is_full(result);
			take_back(writer);
			return false;
		}
		at += piece;
		position += piece;
	}
	hash = writer->hash;
	writer->hash = writer->hash_ahead;
	writer->hash_ahead = hash;
	if (end / FORMAT_BLOCK > writer->end / FORMAT_BLOCK) {
		writer->next_record = next_record;
		writer->record_pending = false;
		writer->recorded = end - end % FORMAT_BLOCK;
	}
	writer->end = end;
	return true;
}

static int sync_segment(struct writer *writer, uint64_t number)
{
	bool is_open = writer->file >= 0 && writer->number == number;
	int file = is_open ? writer->file : segment_open(writer->store, number, false);
	int result;

	if (file < 0)
		return file == -ENOENT ? 0 : file; /* applied and deleted meanwhile */
	result = writer->store->disk->sync(file);
	if (!is_open)
		segment_close(writer->store, file);
	writer->lost_bytes = result < 0;
	return result;
}

bool writer_flush(struct writer *writer, uint64_t begin, bool to_disk, struct error *error)
{
	const struct segment_store *store = writer->store;
	uint64_t from = writer->synced > begin ? writer->synced : begin;
	int result;

	if (!record_tail(writer, error))
		return false;
	if (!to_disk || (writer->synced == writer->end && !writer->new_names))
		return true;
	if (writer->lost_bytes) {
		error_set(error, ERROR_INTERNAL, "spool %s: the disk failed to store bytes that it had accepted (position %llu)",
			  store->dir, (unsigned long long)writer->synced);
		error_hint(error, "look after the disk, then start again: what is whole is kept");
		return false;
	}
	for (uint64_t at = from; at < writer->end; at += store->size - at % store->size) {
		result = sync_segment(writer, at / store->size);
		if (result < 0) {
			segment_error(store, at / store->size, result, "cannot be synced", error);
			return false;
		}
	}
	result = writer->new_names ? store->disk->sync_dir(store->dir) : 0;
	if (result < 0) {
		error_set_errno(error, ERROR_INTERNAL, -result, "spool %s: the directory cannot be synced", store->dir);
		return false;
	}
	writer->new_names = false;
	writer->synced = writer->end;
	/* From now on this record is what a power cut falls back to. */
	if (writer->record_pending)
		writer->next_record = !writer->next_record;
	writer->record_pending = false;
	return true;
}
