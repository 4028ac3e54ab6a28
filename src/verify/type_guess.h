/* Guesses: the type that a key probably has, by the shape of its name ("cart:17" and "cart:4711" have one).
 *
 * Who knows the type may ask for the length at once, which proves it: the server refuses LLEN of what is no list. So a right guess saves a command for each key. A wrong one costs two,
 * and is counted by the server among its errors (INFO errorstats): so nothing is guessed before a shape has had one type GUESS_AFTER times, and nothing ever more where one was wrong.
 * Shapes that fall into one slot count as one; so there are at most as many wrong guesses as slots, whatever the names.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_VERIFY_TYPE_GUESS_H
#define KEYFERRY_VERIFY_TYPE_GUESS_H

#include "base/slice.h"

#define GUESS_SLOTS 4096
#define GUESS_AFTER 16

struct guess_slot {
	uint8_t type; /* 0: none yet; else 1 + its number among the names, or GUESS_MIXED */
	uint8_t seen; /* times, up to GUESS_AFTER */
};

struct type_guesses {
	struct guess_slot slots[GUESS_SLOTS]; /* zeroed: nothing is known */
};

/* As TYPE names it, valid for ever; empty: nobody knows. */
struct slice type_guess(const struct type_guesses *guesses, struct slice key);
/* The key has this type. Those of modules are never guessed: nothing tells their length. */
void type_guess_learn(struct type_guesses *guesses, struct slice key, struct slice type);

/* What tells the length of a value of that type; empty: nothing does. */
struct slice type_length_command(struct slice type);

#endif
