/* The option engine: a table with one row per option, and the one way in which text becomes a field of a struct.
 *
 * Documents, command lines and reference pages all go through the same rows, so an option cannot be accepted in one place and
 * unknown, undocumented or checked otherwise in another. A row's path is dotted ("source.tls.ca"). The engine knows simple
 * types; a row with its own `parse` function takes anything else.
 * Errors are of kind ERROR_USAGE. Their text says what is wrong with the value ("\"5\" is not a duration ..."); the caller puts
 * in front where it was written. Values of secret rows are never in them.
 * Thread: tables are constant; the object belongs to the caller. */
#ifndef KEYFERRY_BASE_OPTION_H
#define KEYFERRY_BASE_OPTION_H

#include "base/error.h"
#include "base/slice.h"

enum option_type {
	OPTION_STRING,   /* char *, owned by the object; not empty */
	OPTION_SECRET,   /* as OPTION_STRING, never shown, wiped when freed */
	OPTION_BOOL,     /* bool */
	OPTION_ENUM,     /* an enum whose values are the indexes of `values` */
	OPTION_SIZE,     /* uint64_t or uint32_t, bytes */
	OPTION_DURATION, /* uint64_t or uint32_t, milliseconds */
	OPTION_COUNT,    /* uint64_t or uint32_t */
	OPTION_OTHER,    /* `parse` */
	OPTION_OBJECTS,  /* struct option_objects: a list of mappings, each with the rows of `item_table` */
};

enum option_form { OPTION_SCALAR, OPTION_LIST, OPTION_MAP };

/* What was written: a scalar (one item), a list of scalars, or a mapping of scalars with its keys. */
struct option_value {
	enum option_form form;
	const struct slice *items;
	size_t count;
	const struct slice *keys; /* mappings only */
};

/* The field of an OPTION_OBJECTS row: an array of `count` objects, owned. */
struct option_objects {
	void *items;
	size_t count;
};

struct option_row {
	const char *path;
	enum option_type type;
	const char *kind;          /* what it takes, for people: "duration", "address or list of addresses" */
	const char *fallback;      /* the default as text, parsed like any value; NULL: none, the field stays zero */
	const char *const *values; /* ENUM, and names that OTHER takes: ends with NULL */
	const char *const *later;  /* values that a later version will take, refused by name; ends with NULL; or NULL */
	const char *example;
	const char *sentence; /* what it does */
	size_t offset;        /* of the field in the object */
	size_t width;         /* of the field */
	uint64_t min, max;    /* numbers; max 0: no bounds */
	size_t enables;       /* offset of a bool that becomes true when this is set (tls.ca asks for TLS); 0: none */
	bool (*parse)(const struct option_row *row, void *object, const struct option_value *value, struct error *error);
	bool structured; /* OTHER: takes a mapping or a list as its value; on the command line it is written in flow style */
	const uint8_t *numbers; /* ENUM: of the values, where these are not their indexes */
	bool lasting;           /* decides what is copied: may not change while a task goes on */
	/* OBJECTS */
	const struct option_table *item_table;
	size_t item_size;
	bool (*item_check)(const void *item, struct error *error); /* what belongs together in one item */
	void (*item_free)(void *item);                             /* fields of its OTHER rows */
};

struct option_table {
	const struct option_row *rows;
	size_t count;
};

/* Zero is a valid start for the object. Every row with a default gets it. */
void option_set_defaults(const struct option_table *table, void *object);
/* Frees strings, secrets and objects of the object; fields of OPTION_OTHER rows are the caller's. */
void option_free_strings(const struct option_table *table, void *object);

/* Parses and stores; the object is unchanged on failure. The error has an example as its hint. */
bool option_set(const struct option_row *row, void *object, const struct option_value *value, struct error *error) WARN_UNUSED;

/* Frees what an OPTION_OBJECTS row has; the field is empty then. */
void option_free_objects(const struct option_row *row, struct option_objects *objects);

/* NULL: no such row. */
const struct option_row *option_find(const struct option_table *table, struct slice path);
/* Do rows lie below the path ("source" when there is "source.mode")? */
bool option_has_below(const struct option_table *table, struct slice path);

#define OPTION_PATH_MAX 128
/* The known option or group nearest to an unknown path whose last name is wrong: of its siblings, else of all options, else one
 * of the same last name elsewhere. Returns out, or NULL when nothing is near. */
const char *option_nearest(const struct option_table *table, struct slice path, char out[OPTION_PATH_MAX]);

/* What a row takes, for people: its kind, or its values joined: "stop, skip". Returns out. */
const char *option_describe(const struct option_row *row, char *out, size_t cap);

#endif
