#include "transform/hook.h"

#include "base/memory.h"
#include "transform/stage.h"
#include "wire/rdb.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>

#define ARGUMENTS_MAX (1 << 20)

struct hook {
	lua_State *lua;
	int function; /* in the registry */
	uint64_t memory, memory_max;
	int steps;
};

/* What one call works on, handed through Lua as a light pointer. */
struct call {
	struct hook *hook;
	const struct event *event;
	struct arena *arena;
	struct event_list *out;
	enum hook_outcome outcome;
};

/* ---- bounds ---- */

static void *allocate(void *owner, void *old, size_t old_size, size_t size)
{
	struct hook *hook = owner;
	uint64_t before = old ? old_size : 0;
	void *made;

	if (size == 0) {
		free(old);
		hook->memory -= before;
		return NULL;
	}
	if (size > before && size - before > hook->memory_max - hook->memory)
		return NULL;
	made = realloc(old, size);
	if (made)
		hook->memory = hook->memory - before + size;
	return made;
}

static void on_steps(lua_State *lua, lua_Debug *unused)
{
	(void)unused;
	/* Where the script catches this with pcall(), its next instruction meets it again. */
	lua_sethook(lua, on_steps, LUA_MASKCOUNT, 1);
	luaL_error(lua, "it takes more instructions than lua.steps allows");
}

/* ---- the event as a table ---- */

static void push_slice(lua_State *lua, struct slice bytes)
{
	lua_pushlstring(lua, bytes.len ? (const char *)bytes.data : "", bytes.len);
}

static void push_event(lua_State *lua, const struct event *event)
{
	const char *type = event->kind == EVENT_KEY ? rdb_type_name(event->type, false) : NULL;

	lua_createtable(lua, 0, 8);
	lua_pushstring(lua, event->kind == EVENT_KEY ? "key" : "command");
	lua_setfield(lua, -2, "kind");
	lua_pushinteger(lua, event->db);
	lua_setfield(lua, -2, "db");
	if (event->key.data) {
		push_slice(lua, event->key);
		lua_setfield(lua, -2, "key");
	}
	if (event->kind == EVENT_KEY) {
		lua_pushstring(lua, type ? type : "module");
		lua_setfield(lua, -2, "type");
		if (event->expire_at_ms != EXPIRE_NEVER) {
			lua_pushinteger(lua, event->expire_at_ms);
			lua_setfield(lua, -2, "expire_at_ms");
		}
		return;
	}
	lua_pushboolean(lua, event->edge == TRANSACTION_INSIDE);
	lua_setfield(lua, -2, "in_transaction");
	lua_createtable(lua, (int)(event->argc < ARGUMENTS_MAX ? event->argc : ARGUMENTS_MAX), 0);
	for (uint32_t i = 0; i < event->argc; i++) {
		push_slice(lua, event->argv[i]);
		lua_rawseti(lua, -2, (lua_Integer)i + 1);
	}
	lua_setfield(lua, -2, "argv");
}

/* ---- what it returned ---- */

static struct slice take_text(lua_State *lua, struct call *call, int at, const char *what)
{
	size_t len;
	const char *text;

	if (lua_type(lua, at) != LUA_TSTRING && lua_type(lua, at) != LUA_TNUMBER)
		luaL_error(lua, "%s of the event it returned is a %s, not a text", what, luaL_typename(lua, at));
	text = lua_tolstring(lua, at, &len);
	return arena_copy(call->arena, slice_make(text, len));
}

static void take_database(lua_State *lua, int table, struct event *event)
{
	int is_integer;
	lua_Integer db;

	lua_getfield(lua, table, "db");
	db = lua_tointegerx(lua, -1, &is_integer);
	if (!is_integer || db < 0 || db > INT32_MAX)
		luaL_error(lua, "db of the event it returned is no database number");
	event->db = (uint32_t)db;
	lua_pop(lua, 1);
}

static void take_key(lua_State *lua, struct call *call, int table, struct event *event)
{
	int is_integer;

	lua_getfield(lua, table, "key");
	event->key = take_text(lua, call, -1, "key");
	lua_getfield(lua, table, "expire_at_ms");
	event->expire_at_ms = lua_isnil(lua, -1) ? EXPIRE_NEVER : lua_tointegerx(lua, -1, &is_integer);
	if (!lua_isnil(lua, -1) && (!is_integer || event->expire_at_ms <= 0))
		luaL_error(lua, "expire_at_ms of the event it returned is no time in milliseconds");
	lua_pop(lua, 2);
}

/* They make up the stream itself, and a script that made them up would break it. */
static bool is_forbidden(struct slice name)
{
	static const char *const names[] = {"multi",   "exec",   "discard",  "select", "watch",     "asking",
					    "auth",    "hello",  "reset",    "quit",   "subscribe", "psubscribe",
					    "monitor", "client", "replconf", "psync",  "sync"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_nocase(name, slice_of_string(names[i])))
			return true;
	return false;
}

static void take_arguments(lua_State *lua, struct call *call, int table, struct event *event)
{
	lua_Unsigned count;
	uint32_t first;

	lua_getfield(lua, table, "argv");
	if (!lua_istable(lua, -1))
		luaL_error(lua, "argv of the event it returned is a %s, not a list", luaL_typename(lua, -1));
	count = lua_rawlen(lua, -1);
	if (count == 0 || count > ARGUMENTS_MAX)
		luaL_error(lua, "argv of the event it returned has %d texts",
			   (int)(count > ARGUMENTS_MAX ? ARGUMENTS_MAX + 1 : 0));
	event->argc = (uint32_t)count;
	event->argv = arena_take(call->arena, count * sizeof(*event->argv));
	for (uint32_t i = 0; i < event->argc; i++) {
		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		event->argv[i] = take_text(lua, call, -1, "an argument");
		lua_pop(lua, 1);
	}
	lua_pop(lua, 1);
	if (is_forbidden(event->argv[0]))
		luaL_error(lua, "it returned %s, which no script may make",
			   (const char *)lua_pushlstring(lua, (const char *)event->argv[0].data, event->argv[0].len));
	event->raw = (struct slice){0};
	event->info = command_lookup(event->argc, event->argv);
	event->key = (struct slice){0};
	first = event->info ? command_first_key(event->info, event->argc, event->argv) : 0;
	if (first > 0)
		event->key = event->argv[first];
}

static void take_event(lua_State *lua, struct call *call, int table)
{
	struct event *event;

	if (!lua_istable(lua, table))
		luaL_error(lua, "it returned a list that holds a %s, not an event", luaL_typename(lua, table));
	if (call->out->count >= HOOK_EVENTS_MAX)
		luaL_error(lua, "it returned more than %d events", (int)HOOK_EVENTS_MAX);
	event = event_list_add(call->out, call->event);
	take_database(lua, table, event);
	if (event->kind == EVENT_KEY)
		take_key(lua, call, table, event);
	else
		take_arguments(lua, call, table, event);
}

static void take_result(lua_State *lua, struct call *call)
{
	int table = lua_gettop(lua);

	if (lua_isnil(lua, table) || (lua_isboolean(lua, table) && lua_toboolean(lua, table)))
		return;
	call->outcome = HOOK_CHANGED;
	if (lua_isboolean(lua, table))
		return;
	if (!lua_istable(lua, table))
		luaL_error(lua, "it returned a %s: an event, a list of events, true or false are understood",
			   luaL_typename(lua, table));
	lua_getfield(lua, table, "db");
	if (!lua_isnil(lua, -1)) {
		take_event(lua, call, table);
		return;
	}
	for (lua_Unsigned i = 1; i <= lua_rawlen(lua, table); i++) {
		lua_rawgeti(lua, table, (lua_Integer)i);
		take_event(lua, call, lua_gettop(lua));
		lua_pop(lua, 1);
	}
}

/* ---- calls: all that may raise an error is below lua_pcall() ---- */

static int protected_call(lua_State *lua)
{
	struct call *call = lua_touserdata(lua, 1);

	lua_rawgeti(lua, LUA_REGISTRYINDEX, call->hook->function);
	push_event(lua, call->event);
	lua_call(lua, 1, 1);
	take_result(lua, call);
	return 0;
}

static void remove_global(lua_State *lua, const char *library, const char *name)
{
	lua_getglobal(lua, library);
	lua_pushnil(lua);
	lua_setfield(lua, -2, name);
	lua_pop(lua, 1);
}

static int protected_load(lua_State *lua)
{
	static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
					     {LUA_STRLIBNAME, luaopen_string},
					     {LUA_TABLIBNAME, luaopen_table},
					     {LUA_MATHLIBNAME, luaopen_math},
					     {LUA_UTF8LIBNAME, luaopen_utf8}};
	static const char *const outside[] = {"dofile", "loadfile", "load", "print", "collectgarbage", "warn"};
	const struct task_options *options = lua_touserdata(lua, 1);
	const char *name = "=lua.script";

	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		luaL_requiref(lua, libraries[i].name, libraries[i].func, 1);
		lua_pop(lua, 1);
	}
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		remove_global(lua, LUA_GNAME, outside[i]);
	remove_global(lua, LUA_STRLIBNAME, "dump");
	/* Text only: compiled code is not checked by Lua. */
	if (luaL_loadbufferx(lua, options->lua_script, strlen(options->lua_script), name, "t") != LUA_OK)
		return lua_error(lua);
	lua_call(lua, 0, 1);
	if (!lua_isfunction(lua, -1))
		return luaL_error(lua, "lua.script returns a %s: it has to end with `return function(event) ... end`",
				  luaL_typename(lua, -1));
	return 1;
}

static const char *message(lua_State *lua, int status)
{
	if (status == LUA_ERRMEM)
		return "it takes more memory than lua.memory allows";
	return lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "an error that is no text";
}

struct hook *hook_new(const struct task_options *options, struct error *error)
{
	struct hook *hook = memory_alloc_zero(1, sizeof(*hook));
	int status;

	hook->memory_max = options->lua_memory;
	hook->steps = (int)options->lua_steps;
	hook->lua = lua_newstate(allocate, hook);
	if (!hook->lua) {
		error_set(error, ERROR_USAGE, "option 'lua.memory': too little for Lua to begin");
		goto failed;
	}
	lua_sethook(hook->lua, on_steps, LUA_MASKCOUNT, hook->steps);
	lua_pushcfunction(hook->lua, protected_load);
	lua_pushlightuserdata(hook->lua, (void *)(uintptr_t)options);
	status = lua_pcall(hook->lua, 1, 1, 0);
	if (status != LUA_OK) {
		error_set(error, ERROR_USAGE, "option 'lua.script': %.600s", message(hook->lua, status));
		error_hint(error, "for example lua.script: \"return function(event) return event.key ~= 'secret' end\"");
		goto failed;
	}
	hook->function = luaL_ref(hook->lua, LUA_REGISTRYINDEX);
	return hook;
failed:
	hook_free(hook);
	return NULL;
}

void hook_free(struct hook *hook)
{
	if (!hook)
		return;
	if (hook->lua)
		lua_close(hook->lua);
	free(hook);
}

enum hook_outcome hook_call(struct hook *hook, const struct event *event, struct arena *arena, struct event_list *out,
			    struct error *error)
{
	struct call call = {hook, event, arena, out, HOOK_SAME};
	char key[160], place[EVENT_PLACE_MAX];
	int status;

	lua_sethook(hook->lua, on_steps, LUA_MASKCOUNT, hook->steps);
	lua_pushcfunction(hook->lua, protected_call);
	lua_pushlightuserdata(hook->lua, &call);
	status = lua_pcall(hook->lua, 1, 0, 0);
	if (status == LUA_OK)
		return call.outcome;
	error_set(error, ERROR_CONFLICT, "the Lua script fails at %s%.*s key %s (database %u, %s): %.300s",
		  event->kind == EVENT_KEY ? "the" : "",
		  (int)(event->kind != EVENT_KEY ? event->argv[0].len > 64 ? 64 : event->argv[0].len : 0),
		  event->kind != EVENT_KEY ? (const char *)event->argv[0].data : "", slice_quote(event->key, key, sizeof(key)),
		  event->db, event_place(event, place), message(hook->lua, status));
	error_hint(error, "Mend the script, raise lua.steps or lua.memory, or set on_conflict: skip");
	lua_settop(hook->lua, 0);
	return HOOK_FAILED;
}
