/* SPDX-License-Identifier: GPL-2.0-only */
#include "command.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cspace.h"
#include "log.h"
#include "util.h"

/* A command needs three levels. */
#define MOST_DEPTH 16u

/**
 * struct command - one that can be asked for
 * @name: that it is asked for by
 * @arguments: names of those that it knows
 * @begin: do it; something is wrong when @call->class says so
 * @poll: an answer, or NULL: not yet; NULL: @begin has done it all
 * @view: answer at once, changing nothing; in place of @begin
 */
struct command {
	const char *name;
	const char *arguments[4];
	void (*begin)(struct command_call *call, const json_t *args);
	json_t *(*poll)(struct command_call *call);
	json_t *(*view)(const struct command_call *call);
};

static const char *const class_names[] = {
	[COMMAND_OK] = "",
	[COMMAND_SYNTAX] = "Syntax",
	[COMMAND_UNKNOWN] = "UnknownCommand",
	[COMMAND_ARGUMENT] = "BadArgument",
	[COMMAND_NOT_FOUND] = "NotFound",
	[COMMAND_DENIED] = "Denied",
	[COMMAND_UNSUPPORTED] = "Unsupported",
	[COMMAND_BUSY] = "Busy",
	[COMMAND_TIMEOUT] = "Timeout",
	[COMMAND_FAILED] = "Failed",
};

/* The first thing that is wrong is what is told. */
static void __attribute__((format(printf, 3, 4)))
wrong(struct command_call *call, enum command_class class, const char *fmt, ...)
{
	va_list args;

	if (call->class != COMMAND_OK)
		return;
	call->class = class;
	va_start(args, fmt);
	vsnprintf(call->text, sizeof(call->text), fmt, args);
	va_end(args);
}

/*
 * So many of at most @most bytes of a text are printed: it ends between two
 * characters.
 */
static int whole(const char *text, size_t most)
{
	size_t n = strnlen(text, most + 1);

	if (n <= most)
		return (int)n;
	while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return (int)most;
}

#define CUT(text, most) whole(text, most), text

static json_t *error_of(enum command_class class, const char *text)
{
	/* What is said of a line that is no UTF-8 may quote it. */
	json_t *desc = json_string(text);

	return json_pack("{s:s, s:o}", "class", class_names[class], "desc",
			 desc ? desc : json_string("not UTF-8"));
}

/* @result: the callee's; not used when something is wrong */
static json_t *answer(struct command_call *call, json_t *result)
{
	json_t *message;

	if (call->class == COMMAND_OK) {
		message = json_pack("{s:o}", "return", result);
	} else {
		json_decref(result);
		message = json_pack("{s:o}", "error",
				    error_of(call->class, call->text));
	}
	if (call->id)
		json_object_set_new(message, "id", call->id);
	call->id = NULL;
	return message;
}

/* One line for what is refused, and for each thing that an operator does. */
static void line_refused(struct command_board *board, const struct ucred *peer,
			 const char *name, enum command_class class)
{
	rumpk_log_limited(&board->refusals, RUMPK_WARN, RUMPK_NO_CHANNEL,
			  "control: uid=%u pid=%d %s refused: %s", peer->uid,
			  (int)peer->pid, name, class_names[class]);
}

static void audit_refused(const struct command_call *call)
{
	line_refused(call->board, &call->peer,
		     call->command ? call->command->name : "?", call->class);
}

/**
 * command_refuse_line - answer to what cannot be read
 * @call: as far as it is known
 * @why: what is wrong with it
 *
 * Return: message, the caller's.
 */
json_t *command_refuse_line(struct command_call *call, const char *why)
{
	wrong(call, COMMAND_SYNTAX, "%s", why);
	audit_refused(call);
	return answer(call, NULL);
}

/* Limited disk by disk: what is done to one does not hide what is done to another. */
static void __attribute__((format(printf, 2, 3)))
audit(const struct command_call *call, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	rumpk_log_limited(&call->board->changes[call->disk], RUMPK_INFO,
			  (int)call->disk, "control: uid=%u pid=%d %s: %s",
			  call->peer.uid, (int)call->peer.pid,
			  call->command->name, text);
}

static void disk_by_number(struct command_call *call, json_int_t n)
{
	if (n < 0 || n >= (json_int_t)call->cell->o->disks)
		wrong(call, COMMAND_NOT_FOUND,
		      "disk %" JSON_INTEGER_FORMAT ": there are disks 0 to %u",
		      n, call->cell->o->disks - 1);
	else
		call->disk = (unsigned int)n;
}

static void disk_by_path(struct command_call *call, const char *path)
{
	const struct options *o = call->cell->o;
	unsigned int found = 0;
	unsigned int i;

	for (i = 0; i < o->disks; i++) {
		if (!o->disk[i].path || strcmp(o->disk[i].path, path) != 0)
			continue;
		call->disk = i;
		found++;
	}
	if (found != 1)
		wrong(call, COMMAND_NOT_FOUND, "disk %.*s: %s", CUT(path, 100),
		      found ? "is the path of several" :
			      "must be a number, nxblkN, or a path as --disk has it");
}

/* A number, "nxblkN", or the path of the image or device. */
static void take_disk(struct command_call *call, const json_t *args)
{
	const json_t *disk = json_object_get(args, "disk");
	const char *text = json_string_value(disk);
	unsigned int n;

	if (!disk)
		wrong(call, COMMAND_ARGUMENT, "disk is missing");
	else if (json_is_integer(disk))
		disk_by_number(call, json_integer_value(disk));
	else if (!text)
		wrong(call, COMMAND_ARGUMENT, "disk must be a number or a text");
	else if (!parse_disk_number(text, UINT_MAX, &n))
		disk_by_number(call, n);
	else
		disk_by_path(call, text);
}

static void take_flag(struct command_call *call, const json_t *args,
		      const char *name, bool *flag)
{
	const json_t *value = json_object_get(args, name);

	if (value && !json_is_boolean(value))
		wrong(call, COMMAND_ARGUMENT, "%s must be true or false", name);
	else if (value)
		*flag = json_is_true(value);
}

/* @ranged: it says which sectors. */
static void take_cap(struct command_call *call, const json_t *args,
		     struct disk_options *d, bool *ranged)
{
	const json_t *value = json_object_get(args, "cap");
	const char *text = json_string_value(value);

	if (!text)
		wrong(call, COMMAND_ARGUMENT, "cap %s",
		      value ? "must be a text" : "is missing");
	else if (parse_cap(text, d))
		wrong(call, COMMAND_ARGUMENT, "cap %.*s: " PARSE_CAP_RIGHT,
		      CUT(text, 60));
	else if (!d->rights)
		wrong(call, COMMAND_ARGUMENT, "cap none: is what revoke does");
	else
		*ranged = strchr(text, ':') != NULL;
}

static void take_size(struct command_call *call, const json_t *args,
		      uint64_t *bytes)
{
	const json_t *value = json_object_get(args, "size");
	const char *text = json_string_value(value);
	const json_int_t n = json_integer_value(value);
	char number[24] = "";

	if (json_is_integer(value))
		snprintf(number, sizeof(number), " %" JSON_INTEGER_FORMAT, n);
	if (!value)
		wrong(call, COMMAND_ARGUMENT, "size is missing");
	else if (json_is_integer(value) && n > 0)
		*bytes = (uint64_t)n;
	else if (!text || parse_size(text, bytes) || !*bytes)
		wrong(call, COMMAND_ARGUMENT,
		      "size%s%s%.*s: must be a number of bytes above 0, or a text as in 64M",
		      number, text ? " " : "", CUT(text ? text : "", 60));
}

/* Is there anything in @was that is not in @now? */
static bool takes_away(const struct disk_options *was,
		       const struct disk_options *now)
{
	return was->rights & ~now->rights ||
	       (was->rights && (was->first < now->first || was->last > now->last));
}

/* What was taken since the last look is to be drained, and what was before with it. */
static void look_at_cap(struct command_board *board,
			const struct control_cell *cell, unsigned int disk)
{
	struct disk_options now = { .rights = 0 };

	safety_held(cell->a, disk, &now);
	if (takes_away(&board->held[disk], &now))
		drain_begin(&board->taken[disk], cell->a);
	board->held[disk] = now;
}

static void look_at_drain(struct command_board *board,
			  const struct control_cell *cell, unsigned int disk)
{
	struct drain *taken = &board->taken[disk];

	look_at_cap(board, cell, disk);
	if (taken->changes && drain_look(taken, cell->l, disk) == DRAIN_OVER)
		taken->changes = 0;
}

/*
 * The authority is changed: wait for the rest, where that makes a difference. Who says
 * once more what holds already waits for whoever said it first.
 */
static void change_cap(struct command_call *call, const json_t *args,
		       const struct disk_options *d)
{
	struct disk_options was = { .rights = 0 };
	char text[2][PARSE_CAP_BYTES];
	bool changed;
	bool drain = true;

	take_flag(call, args, "drain", &drain);
	if (call->class != COMMAND_OK)
		return;
	safety_held(call->cell->a, call->disk, &was);
	look_at_cap(call->board, call->cell, call->disk);
	changed = safety_regrant(call->cell->a, call->disk, d);
	look_at_drain(call->board, call->cell, call->disk);
	format_cap(&was, text[0], sizeof(text[0]));
	format_cap(d, text[1], sizeof(text[1]));
	audit(call, "capability now %s, before %s", text[1], text[0]);
	call->drain = call->board->taken[call->disk];
	call->drained = !call->drain.changes;
	if (!drain || (changed && !takes_away(&was, d)))
		call->drain.until_ms = 0;
	else
		call->drain.until_ms = now_ms() + DRAIN_MS;
}

static json_t *poll_cap(struct command_call *call)
{
	const struct control_cell *cell = call->cell;
	enum drain_state state = DRAIN_OVER;
	struct disk_options d;
	char text[PARSE_CAP_BYTES];

	if (!call->drained)
		state = drain_look(&call->drain, cell->l, call->disk);
	if (state == DRAIN_WAITS)
		return NULL;
	safety_held(cell->a, call->disk, &d);
	format_cap(&d, text, sizeof(text));
	return answer(call, json_pack("{s:i, s:s, s:b, s:i}", "disk",
				      call->disk, "cap", text, "drained",
				      state == DRAIN_OVER, "in_flight",
				      state == DRAIN_OVER ?
					      0 :
					      drain_left(&call->drain, cell->l,
							 call->disk)));
}

static void begin_grant(struct command_call *call, const json_t *args)
{
	struct disk_options d = { .rights = 0 };
	bool ranged;

	take_disk(call, args);
	take_cap(call, args, &d, &ranged);
	change_cap(call, args, &d);
}

/* A capability without a range keeps the sectors that there are. */
static void begin_narrow(struct command_call *call, const json_t *args)
{
	struct disk_options held = { .rights = 0 };
	struct disk_options d = { .rights = 0 };
	char text[PARSE_CAP_BYTES];
	bool ranged = true;

	take_disk(call, args);
	take_cap(call, args, &d, &ranged);
	if (call->class == COMMAND_OK)
		safety_held(call->cell->a, call->disk, &held);
	if (!held.rights)
		wrong(call, COMMAND_NOT_FOUND, "disk %u has no capability",
		      call->disk);
	if (!ranged) {
		d.first = held.first;
		d.last = held.last;
	}
	format_cap(&held, text, sizeof(text));
	if (takes_away(&d, &held))
		wrong(call, COMMAND_DENIED,
		      "disk %u has %s, and narrow only takes away", call->disk,
		      text);
	change_cap(call, args, &d);
}

static void begin_revoke(struct command_call *call, const json_t *args)
{
	const struct disk_options none = { .rights = 0 };

	take_disk(call, args);
	change_cap(call, args, &none);
}

static void begin_reopen(struct command_call *call, const json_t *args)
{
	unsigned int i;

	call->all = !json_object_get(args, "disk");
	if (!call->all)
		take_disk(call, args);
	if (call->class != COMMAND_OK)
		return;
	for (i = 0; i < call->cell->o->disks; i++) {
		if (!call->all && i != call->disk)
			continue;
		call->disk = i;
		safety_reopen(call->cell->a, i);
		audit(call, "reopened");
	}
	drain_begin(&call->drain, call->cell->a);
}

/*
 * A device is connected to beside all else: that takes its time. Return: number of
 * the first disk that is lost, or of none.
 */
static unsigned int first_lost(const struct command_call *call)
{
	unsigned int i;

	for (i = 0; i < call->cell->o->disks; i++)
		if ((call->all || i == call->disk) &&
		    __atomic_load_n(&call->cell->l->disk[i].lost,
				    __ATOMIC_RELAXED))
			break;
	return i;
}

static json_t *poll_reopen(struct command_call *call)
{
	const unsigned int lost = first_lost(call);
	const bool back = lost == call->cell->o->disks;
	json_t *disks;
	size_t i;

	if (now_ms() < call->drain.until_ms &&
	    (!drain_seen(&call->drain, call->cell->l) || !back))
		return NULL;
	if (!drain_seen(&call->drain, call->cell->l))
		wrong(call, COMMAND_TIMEOUT,
		      "no worker has taken notice yet; the next one will");
	else if (!back)
		wrong(call, COMMAND_TIMEOUT,
		      "disk %u was tried once and is not back; reopen it again when it can be",
		      lost);
	disks = view_disks(call->cell);
	for (i = json_array_size(disks); !call->all && i-- > 0;)
		if (i != call->disk)
			json_array_remove(disks, i);
	return answer(call, disks);
}

static void start_resize(struct command_call *call, uint64_t bytes, bool shrink)
{
	const struct control_cell *cell = call->cell;
	const struct disk_options *d = &cell->o->disk[call->disk];
	struct resize *r = &call->board->resize;

	r->disk = call->disk;
	r->path = d->path;
	r->block = d->block;
	memcpy(r->uuid, cell->record->disk[call->disk].uuid, sizeof(r->uuid));
	r->shrink = shrink;
	r->bytes = bytes;
	r->before = cell->l->channel[call->disk].capacity << NXBLK_SECTOR_SHIFT;
	if (bytes < r->before && !shrink) {
		wrong(call, COMMAND_DENIED,
		      "disk %u has %" PRIu64
		      " bytes; to make it smaller takes shrink: true",
		      call->disk, r->before);
		return;
	}
	audit(call, "from %" PRIu64 " to %" PRIu64 " bytes", r->before, bytes);
	call->board->resizer = call->peer;
	resize_begin(r, cell->a);
	call->resize = r->serial;
}

/* No size is changed under requests that nobody knows of. */
static void check_idle(struct command_call *call)
{
	const char *obstacle;

	if (call->board->resize.phase != RESIZE_NONE)
		wrong(call, COMMAND_BUSY, "disk %u is being resized",
		      call->board->resize.disk);
	obstacle = drain_obstacle(call->cell->l, call->disk);
	if (obstacle)
		wrong(call, COMMAND_BUSY, "disk %u %s", call->disk, obstacle);
}

static void begin_resize(struct command_call *call, const json_t *args)
{
	const struct disk_options *d;
	bool shrink = false;
	uint64_t bytes = 0;

	take_disk(call, args);
	take_size(call, args, &bytes);
	take_flag(call, args, "shrink", &shrink);
	d = &call->cell->o->disk[call->disk];
	if (d->vhost)
		wrong(call, COMMAND_UNSUPPORTED,
		      "disk %u: whoever serves its device resizes it",
		      call->disk);
	if (!d->path)
		wrong(call, COMMAND_UNSUPPORTED,
		      "disk %u: a disk in memory keeps the size it was made with",
		      call->disk);
	if (d->read_only)
		wrong(call, COMMAND_UNSUPPORTED,
		      "disk %u: its image is served read-only", call->disk);
	if (bytes % d->block || bytes > OPTIONS_DISK_MAX)
		wrong(call, COMMAND_ARGUMENT,
		      "size %" PRIu64
		      " must be a multiple of %u and at most 1024T",
		      bytes, d->block);
	check_idle(call);
	if (call->class == COMMAND_OK)
		start_resize(call, bytes, shrink);
}

static enum command_class resize_class(int error)
{
	return error == RESIZE_UNSEEN || error == RESIZE_LATE ? COMMAND_TIMEOUT :
								COMMAND_FAILED;
}

static json_t *poll_resize(struct command_call *call)
{
	const struct resize *r = &call->board->resize;

	if (r->serial == call->resize && r->phase != RESIZE_NONE)
		return NULL;
	if (r->error)
		wrong(call, resize_class(r->error), "disk %u: %s", call->disk,
		      resize_fault(r->error));
	return answer(call, json_pack("{s:i, s:I, s:I}", "disk", call->disk,
				      "size", (json_int_t)r->bytes, "before",
				      (json_int_t)r->before));
}

static json_t *status(const struct command_call *call)
{
	return view_status(call->cell, call->now);
}

static json_t *disks(const struct command_call *call)
{
	return view_disks(call->cell);
}

static json_t *caps(const struct command_call *call)
{
	return view_caps(call->cell);
}

static const struct command commands[] = {
	{ .name = "status", .view = status },
	{ .name = "disks", .view = disks },
	{ .name = "caps", .view = caps },
	{ "grant", { "disk", "cap", "drain" }, begin_grant, poll_cap, NULL },
	{ "narrow", { "disk", "cap", "drain" }, begin_narrow, poll_cap, NULL },
	{ "revoke", { "disk", "drain" }, begin_revoke, poll_cap, NULL },
	{ "reopen", { "disk" }, begin_reopen, poll_reopen, NULL },
	{ "resize", { "disk", "size", "shrink" }, begin_resize, poll_resize, NULL },
};

static bool is_known(const struct command *c, const char *argument)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c->arguments) && c->arguments[i]; i++)
		if (strcmp(c->arguments[i], argument) == 0)
			return true;
	return false;
}

static void check_arguments(struct command_call *call, json_t *args)
{
	const char *key;
	json_t *value;

	if (args && !json_is_object(args))
		wrong(call, COMMAND_ARGUMENT, "arguments must be an object");
	json_object_foreach(args, key, value)
	{
		if (!is_known(call->command, key))
			wrong(call, COMMAND_ARGUMENT, "%s has no argument %.*s",
			      call->command->name, CUT(key, 60));
	}
}

static void find_command(struct command_call *call, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "execute"));
	size_t i;

	if (!name) {
		wrong(call, COMMAND_SYNTAX, "execute must name a command");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			call->command = &commands[i];
	if (!call->command)
		wrong(call, COMMAND_UNKNOWN, "%.*s: there is no such command",
		      CUT(name, 60));
}

static void check_members(struct command_call *call, json_t *message)
{
	const char *key;
	json_t *value;

	json_object_foreach(message, key, value)
	{
		if (strcmp(key, "execute") != 0 && strcmp(key, "id") != 0 &&
		    strcmp(key, "arguments") != 0)
			wrong(call, COMMAND_SYNTAX,
			      "a command has execute, arguments and id, but no %.*s",
			      CUT(key, 60));
	}
}

/* Brackets that are open at a time; those in texts are none. */
static bool is_too_deep(const char *line, size_t length)
{
	bool text = false;
	size_t depth = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (text && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			text = !text;
		else if (!text && (line[i] == '{' || line[i] == '['))
			depth++;
		else if (!text && (line[i] == '}' || line[i] == ']') && depth)
			depth--;
		if (depth > MOST_DEPTH)
			return true;
	}
	return false;
}

static json_t *read_line(struct command_call *call, const char *line,
			 size_t length)
{
	json_t *message = NULL;
	json_error_t error;

	if (is_too_deep(line, length)) {
		wrong(call, COMMAND_SYNTAX, "more than %u brackets are open",
		      MOST_DEPTH);
		return NULL;
	}
	message = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(message))
		return message;
	wrong(call, COMMAND_SYNTAX, "a line must be one JSON object: %.100s",
	      message ? "this is an array" : error.text);
	json_decref(message);
	return NULL;
}

static void begin(struct command_call *call, const json_t *message)
{
	json_t *args = json_object_get(message, "arguments");

	check_arguments(call, args);
	if (call->class == COMMAND_OK && call->command->begin)
		call->command->begin(call, args);
}

/**
 * command_begin - carry out what a line asks for
 * @call: as far as it is known
 * @line: without its newline
 * @length: of @line
 *
 * Return: the answer, the caller's; or NULL: there is none yet, command_poll() is due.
 */
json_t *command_begin(struct command_call *call, const char *line, size_t length)
{
	json_t *message = read_line(call, line, length);

	call->id = json_incref(json_object_get(message, "id"));
	if (message) {
		check_members(call, message);
		find_command(call, message);
	}
	if (call->class == COMMAND_OK)
		begin(call, message);
	json_decref(message);
	if (call->class != COMMAND_OK) {
		audit_refused(call);
		return answer(call, NULL);
	}
	return call->command->view ? answer(call, call->command->view(call)) :
				     call->command->poll(call);
}

/**
 * command_poll - is there an answer by now
 * @call: that had none
 *
 * Return: as command_begin().
 */
json_t *command_poll(struct command_call *call)
{
	return call->command->poll(call);
}

/**
 * command_abandon - nobody waits for the answer any more
 * @board: shared
 * @call: that had none; what it has begun goes on
 */
void command_abandon(struct command_board *board, struct command_call *call)
{
	(void)board;
	json_decref(call->id);
	call->id = NULL;
}

/* Whoever asked for it may have left. */
static void go_on_resizing(struct command_board *board,
			   const struct control_cell *cell)
{
	struct resize *r = &board->resize;

	if (r->phase == RESIZE_NONE)
		return;
	resize_go_on(r, cell->a, cell->l);
	if (r->phase == RESIZE_NONE && r->error)
		line_refused(board, &board->resizer, "resize",
			     resize_class(r->error));
}

/**
 * command_go_on - go on with what outlives a client
 * @board: shared
 * @cell: what commands are about
 */
void command_go_on(struct command_board *board, const struct control_cell *cell)
{
	unsigned int i;

	go_on_resizing(board, cell);
	for (i = 0; i < cell->o->disks; i++)
		look_at_drain(board, cell, i);
}

/**
 * command_close - no further command: say how many lines were held back
 * @board: shared
 */
void command_close(const struct command_board *board)
{
	uint64_t held = board->refusals.dropped;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(board->changes); i++)
		held += board->changes[i].dropped;
	if (held)
		rumpk_warn("control: end suppressed=%" PRIu64, held);
}

/**
 * command_busy - is anything under way that outlives a client
 * @board: shared
 *
 * Return: whether it is.
 */
bool command_busy(const struct command_board *board)
{
	return board->resize.phase != RESIZE_NONE;
}
