/* A node: one server of either side, and what it has told about itself.
 *
 * Filled by the interview; judged by functions that ask nothing any more, so that tests can make up any node. Texts are those of the server.
 * Format facts: INFO ("name:value" lines; https://redis.io/commands/info), CLUSTER INFO and CLUSTER NODES, CLIENT LIST ("id=3 addr=... name=...").
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_NODE_H
#define KEYFERRY_PRECHECK_NODE_H

#include "peer/server.h"
#include "precheck/finding.h"

/* Answers that are texts. */
enum node_text {
	NODE_INFO,
	NODE_COMMANDSTATS,
	NODE_CLUSTER_INFO,
	NODE_CLUSTER_NODES,
	NODE_CLIENTS,
	NODE_USER, /* ACL WHOAMI */
	NODE_TEXTS,
};

enum node_setting {
	SETTING_BACKLOG_SIZE,
	SETTING_OUTPUT_BUFFER,
	SETTING_REPL_TIMEOUT,
	SETTING_PING_PERIOD,
	SETTING_PING_PERIOD_OLD, /* its name before 5.0 */
	SETTING_DISKLESS_SYNC,
	SETTING_DISKLESS_DELAY,
	SETTING_MIN_REPLICAS,
	SETTING_MIN_REPLICAS_OLD,
	SETTING_STOP_WRITES,
	SETTING_SAVE,
	SETTING_EVICTION,
	SETTING_DATABASES,
	SETTING_CLUSTER_DATABASES,
	SETTING_BULK_MAX,
	NODE_SETTINGS,
};

/* Whether the user may do something. */
enum right_state {
	RIGHT_NOT_ASKED,
	RIGHT_GRANTED,
	RIGHT_MISSING, /* `rule` gives it */
	RIGHT_UNKNOWN, /* the command is not there */
};

struct right_answer {
	enum right_state state;
	char said[200]; /* the server's words, quoted; or why it was not asked */
};

#define NODE_RULES_MAX 1024
#define NODE_TYPES 16 /* kinds of value told apart in a sample */

struct node {
	enum precheck_side side;
	uint32_t shard;
	bool master; /* of its shard, as the topology has it; a replica is asked whether it can be used, and no more */
	bool reads;  /* replication, or reading by SCAN, is from here */
	struct endpoint endpoint;
	char name[ENDPOINT_TEXT_MAX];
	bool answered;      /* its facts are known */
	struct error error; /* why not */
	struct server_info info;

	char *texts[NODE_TEXTS];
	char *text_refusals[NODE_TEXTS]; /* in its place: what the server said */
	char *settings[NODE_SETTINGS];
	char *settings_refusal;

	bool clock_known;
	int64_t clock_ahead_ms; /* of this machine's */
	int64_t clock_doubt_ms; /* it may be so much off: half the round trip */

	int64_t sampled_offset; /* master_repl_offset `sampled_us` after that in info; < 0: none */
	uint64_t sampled_us;

	/* rights */
	struct right_answer psync, heartbeat;
	bool rights_asked;
	char rights_refusal[200];          /* why they could not be asked */
	char rules_needed[NODE_RULES_MAX]; /* what the user lacks, as ACL rules: without them nothing works */
	char rules_later[NODE_RULES_MAX];  /* needed in some situations */
	char later_why[64];
	char rules_seen[NODE_RULES_MAX]; /* for commands that the source's clients have used */
	char denial[200];                /* the first one, in the server's words */
	char write_refusal[200];         /* what a write was answered, where that was no matter of rights: "MISCONF ..." */

	/* a sample of the source's keys; commands that the target does not know */
	struct node_type {
		char name[24];
		uint32_t count;
	} types[NODE_TYPES];
	uint32_t type_count, sampled_keys;
	char *sample_refusal;
	bool commands_asked;
	char unknown_commands[NODE_RULES_MAX]; /* of those that the source's clients have used, separated by ", " */
	char *commands_refusal;
};

void node_release(struct node *node);

/* A field of its INFO. False: it is not told. */
bool node_field(const struct node *node, const char *name, struct slice *ret);
bool node_number(const struct node *node, const char *name, uint64_t *ret);
bool node_word_is(const struct node *node, const char *name, const char *word);
/* A setting as a number. */
bool node_setting_number(const struct node *node, enum node_setting setting, uint64_t *ret);
/* The name that CONFIG knows it by. */
const char *node_setting_name(enum node_setting setting);
/* Why settings are not known, in the server's words. */
const char *node_settings_refusal(const struct node *node);

/* Bytes per second that clients write: by the offset; of a server that has no backlog yet, by what they send and by how many of their commands write. */
uint64_t node_write_rate(const struct node *node);

/* The user that keyferry is at that server. */
const char *node_user(const struct node *node, const struct credentials *credentials);

/* Takes the next line of a text off *rest. False: no more. */
bool node_line(const char **rest, struct slice *ret);
/* Commands that its clients have called, from INFO commandstats: name ("set", "xgroup|create") and calls. */
bool node_command_line(struct slice line, struct slice *ret_name, uint64_t *ret_calls);

/* Appends "word" to a list of words in `list`, with `mark` between them; nothing where it has no more room, or has it already. */
void words_add(char *list, size_t cap, const char *mark, const char *word);

#endif
