#include "verify/type_guess.h"

#include <stdbool.h>
#include <stddef.h>

#define GUESS_MIXED 255
#define NUMBERED '#' /* stands for a word with a digit in it: a number, an id */

static const struct {
	const char *type, *length_command;
} types[] = {{"string", "STRLEN"}, {"list", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}, {"stream", "XLEN"}};

static uint32_t mix(uint32_t hash, uint32_t byte)
{
	return (hash ^ byte) * 16777619u; /* FNV-1a */
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_of_word(uint8_t byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 128;
}

static uint32_t slot_of(struct slice key)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < key.len;) {
		uint32_t word = hash;
		bool numbered = false;

		for (; i < key.len && is_of_word(key.data[i]); i++) {
			numbered = numbered || is_digit(key.data[i]);
			word = mix(word, key.data[i]);
		}
		hash = numbered ? mix(hash, NUMBERED) : word;
		if (i < key.len)
			hash = mix(hash, key.data[i++]);
	}
	return (hash ^ hash >> 16) % GUESS_SLOTS;
}

struct slice type_guess(const struct type_guesses *guesses, struct slice key)
{
	const struct guess_slot *slot = &guesses->slots[slot_of(key)];

	if (slot->seen < GUESS_AFTER || slot->type == GUESS_MIXED)
		return (struct slice){0};
	return slice_of_string(types[slot->type - 1].type);
}

void type_guess_learn(struct type_guesses *guesses, struct slice key, struct slice type)
{
	struct guess_slot *slot = &guesses->slots[slot_of(key)];
	uint8_t found = GUESS_MIXED;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_equal(type, slice_of_string(types[i].type)))
			found = (uint8_t)(i + 1);
	if (slot->type != 0 && slot->type != found)
		found = GUESS_MIXED;
	slot->type = found;
	slot->seen += slot->seen < GUESS_AFTER;
}

struct slice type_length_command(struct slice type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_equal(type, slice_of_string(types[i].type)))
			return slice_of_string(types[i].length_command);
	return (struct slice){0};
}
